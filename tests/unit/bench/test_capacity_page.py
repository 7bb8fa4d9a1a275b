"""The page of a mesh's capacity: medians, what a hit and a miss cost, and the cores that follow."""

import pytest

from bench.capacity.page import SERVICES, cores, hit_and_miss, medians, page

NOTHING = dict.fromkeys(SERVICES, 0.0)


def cell(hits: int, gateway: float, redis: float, *, rows: int = 10, rate: int = 100, p95: float = 1.0):
    """Returns one cell in which two services cost something."""
    return {
        "rows": rows,
        "hits": hits,
        "rate": rate,
        "achieved": 60.0,
        "processor": {**NOTHING, "gateway": gateway, "redis": redis},
        "p50": 0.5,
        "p95": p95,
    }


def test_a_hit_is_what_is_left_of_the_most_hits():
    """A tenth of misses is taken off, of each service; other rows and rates do not count."""
    cells = [cell(0, 1_000, 100), cell(50, 7, 7), cell(90, 190, 19), cell(90, 9, 9, rate=50), cell(90, 9, 9, rows=5)]
    hit, miss = hit_and_miss(cells)
    assert {"gateway": 100.0, "redis": 10.0} == pytest.approx({name: hit[name] for name in ("gateway", "redis")})
    assert (1_000.0, 100.0) == (miss["gateway"], miss["redis"])


def test_cores_leave_room():
    """60 % of each is used: 600 codes a second of a millisecond each take one."""
    assert 1.0 == pytest.approx(cores(600, 1_000))


def test_the_median_of_each_figure_counts():
    """Not the figures of one round."""
    whole = medians([cell(0, 10, 3), cell(0, 30, 1, p95=9.0), cell(0, 20, 2)])
    assert (20, 2, 1.0) == (whole["processor"]["gateway"], whole["processor"]["redis"], whole["p95"])


def test_the_page_says_what_follows():
    """Every figure has its place, and what a machine could not do stands in brackets."""
    figures = {
        "meshes": [
            {
                "rows": 10,
                "intake": {"nation": 100.0},
                "idle": {"nation": 0.25},
                "row_bytes": {"430000": 1_000.0, "nation": 1_000.0},
                "code_bytes": 1_000.0,
            }
        ],
        "cells": [[cell(0, 1_000, 0)], [cell(99, 109, 0)]],
    }
    text = page({"machine": "one", "rounds": 1, "figures": figures})
    assert "100 (60)" in text
    assert "a hit costs 100 µs, a miss 1,000 µs" in text
    # 23,000 codes a second, half of them hits, 550 µs each.
    assert "| 23,000 | 50% | 550 | **22** | 22 |" in text
    assert "1,400 GB" in text
    assert "{" not in text
