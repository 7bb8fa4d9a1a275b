"""docs/faults.md tells of runs: its measured column is that of the record, and every test of a fault has its row."""

import ast
from collections.abc import Iterator

import pytest

from tests.testkit.checks.named_tests import named
from tests.testkit.faults.page import COLUMNS, NOTHING, PAGE, UNTIL, kept, page, read_record
from tests.testkit.tools import ROOT

NO_FAULTS = {
    "tests/fault/test_fuzzing.py::test_a_number_that_stands_somewhere_is_noticed": "checks the other",
    "tests/fault/test_rollouts.py::test_the_page_for_clients_says_what_is_tested": "a check of a page",
    "tests/fault/test_wrong_settings.py::test_every_setting_has_wrong_values": "a check of the table",
    "tests/fault/test_wrong_settings.py::test_the_table_of_the_page_is_the_tables": "a check of the page",
    "tests/fault/test_wrong_settings.py::test_outcomes_are_known": "a check of the table",
    "tests/fault/test_wrong_settings.py::test_a_mistake_on_a_mesh_of_its_own": "rows of the table",
}
"""Tests in the folder of faults that break nothing of their own."""
MEASURED = {
    "tests/fault/test_killed.py::test_whatever_service_is_killed_or_hangs_no_code_is_wrong_and_nothing_is_lost",
    "tests/fault/test_rollouts.py::test_everything_is_upgraded_at_once_twice_and_no_code_fails",
    "tests/fault/test_news_bound.py::test_nothing_outdated_is_shown_for_longer_than_the_bound",
    "tests/fault/test_news_bound.py::test_restarted_redis_brings_nothing_outdated_back",
    "tests/integration/gateway/test_cache.py::test_redis_killed_midway_makes_codes_slower_and_not_wrong",
    "tests/integration/gateway/test_cache.py::test_redis_that_hangs_does_not_hold_codes_up",
    "tests/integration/records/test_intake_crashes.py::test_kills_lose_nothing_and_double_nothing",
    "tests/integration/postgres/test_failover.py::"
    "test_connections_to_a_demoted_primary_are_left_for_the_new_one_behind_the_name",
    "tests/fault/test_disk_full.py::test_a_full_disk_loses_and_doubles_nothing_and_the_intake_goes_on",
    "tests/fault/test_clocks_and_cuts.py::test_no_cut_with_any_clocks_keeps_a_code_longer_than_the_bound",
    "tests/mesh/test_proven_callers.py::test_certificates_that_have_ended_name_their_services_and_a_renewal_heals",
    "tests/fault/test_ten_times.py::test_ten_times_the_load_sheds_what_can_wait_and_is_over_when_it_is_over",
    "tests/integration/replication/test_restore_rehearsed.py::test_a_region_restored_under_intake",
}
"""These tests count what was seen and lost."""
RUN = {
    "tests/contract/gateway/test_redis_deployments.py::test_sentinel_says_who_is_primary",
    "tests/contract/gateway/test_redis_deployments.py::test_a_full_redis_serves_what_it_has_and_stays_true",
    "tests/contract/gateway/test_redis_deployments.py::test_after_a_flush_other_changes_have_the_same_numbers",
    "tests/integration/verdict/test_reload.py::test_a_bad_set_is_not_taken",
    "tests/integration/records/test_durability.py::test_broken_connections_are_replaced",
    "tests/integration/postgres/test_standby.py::test_the_primary_dies_and_comes_back",
}
"""These hold or fail, and count nothing."""
LINE = {"on": "2022-08-06", "machine": "two cores", "seconds": 1.25, "passed": True, "parameters": "", "cases": {}}
SEEN = {"seen": {"right": 1200}, "lost": 0, "longest": 0.26}


def cells(line: str) -> list[str]:
    """Returns the cells of a row."""
    return line.strip().strip("|").split("|")


def test_the_measured_column_is_that_of_the_record() -> None:
    """It is made by a command, and says nothing that no run said; a row that is new has none yet."""
    text = PAGE.read_text(encoding="utf-8")
    lines = zip(text.splitlines(), page(text, read_record()).splitlines(), strict=True)
    differing = [line for line, made in lines if line != made and len(cells(line)) == COLUMNS]
    assert [] == differing, "python -m tests.testkit.faults.page"


def test_every_run_that_is_recorded_passed() -> None:
    """Nothing is shown of a fault whose test failed."""
    record = read_record()
    assert [] == [test for test, run in record.items() if run["passed"] != run["runs"]]


def test_the_faults_that_matter_most_are_measured() -> None:
    """With counts where there are some, and nothing was lost."""
    record = read_record()
    assert MEASURED | RUN <= record.keys()
    for test in MEASURED:
        cases = record[test]["cases"].values()
        assert cases, test
        assert 0 == sum(case["lost"] for case in cases), test
        assert sum(sum(case["seen"].values()) for case in cases), test


def _tests_of_faults() -> Iterator[str]:
    for module in sorted((ROOT / "tests" / "fault").glob("test_*.py")):
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield f"{module.relative_to(ROOT)}::{node.name}"


def test_every_test_of_a_fault_is_told_of() -> None:
    """Whatever is broken on purpose stands in the page."""
    told = {f"{module}::{name}" for module, name in named(PAGE.read_text(encoding="utf-8"))}
    tests = set(_tests_of_faults())
    assert NO_FAULTS.keys() <= tests
    assert set() == tests - told - NO_FAULTS.keys()


PLAIN = "\n".join(
    [
        "| Fault | What a holder saw | What was lost | How long | Test |",
        "|---|---|---|---|---|",
        "| a | b | c | d | `tests/a.py::test_a`, `tests/b.py::test_b` |",
        "| e | f | g | h | `tests/c.py::test_c` |",
        UNTIL,
        "| Fault | What a holder saw | What was lost | How long | Test |",
        "",
    ]
)


def test_a_run_fills_its_row_and_the_next_one_takes_its_place() -> None:
    """The parameters of one test are one run: counts are added, the longest stays. What failed is said to have."""
    first = {**LINE, "test": "tests/a.py::test_a", "cases": {"": SEEN}}
    second = {**first, "parameters": "other", "cases": {"": {**SEEN, "longest": 2.04}}}
    record = kept({}, [first, second])
    made = page(PLAIN, record)
    row = made.splitlines()[2]
    assert row.endswith("| 2022-08-06: passed, 2 cases 2.5 s. 2,400 right; 0 lost, longest 2 s |")
    assert made.splitlines()[3].endswith(f"| {NOTHING} |")
    assert made.splitlines()[5:] == PLAIN.splitlines()[5:]
    assert made == page(made, record)
    record = kept(record, [{**LINE, "test": "tests/a.py::test_a", "passed": False}])
    assert "2022-08-06: **1 failed**" in page(made, record)


@pytest.mark.parametrize("name", ["region killed", ""])
def test_each_fault_of_a_test_is_told_apart(name: str) -> None:
    """By its name, where it has one."""
    line = {**LINE, "test": "tests/c.py::test_c", "cases": {name: {**SEEN, "longest": None}, "other": SEEN}}
    row = page(PLAIN, kept({}, [line])).splitlines()[3]
    assert row.endswith(f"{name}{': ' if name else ''}1,200 right; 0 lost. other: 1,200 right; 0 lost, longest 0.3 s |")
