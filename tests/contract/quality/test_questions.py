"""Questions about laboratories' figures: their limits, and what an answer holds."""

from typing import Any

import pytest
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb

from services.common.instants import Instant
from services.records.store.values.records import LATEST
from tests.testkit.builders.laboratory_quality import days, listed, refused
from tests.testkit.builders.records import fresh_id, person, result, sampling, submission
from tests.testkit.servers.records_service import Records


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"days": days("2022-8-5", "")}, ("days.first", "DAY_FORMAT")),
        ({"days": days("", "20220805")}, ("days.last", "DAY_FORMAT")),
        ({"days": days("2022-08-05", "2022-08-04")}, ("days", "DAYS_ORDER")),
        ({"days": days("2022-07-01", "2022-08-01")}, ("days", "DAYS_TOO_MANY")),
        ({"overdue_hours": 241}, ("overdue_hours", "OVERDUE_HOURS")),
        ({"overdue_hours": -1}, ("overdue_hours", "OVERDUE_HOURS")),
        ({"page_size": -1}, ("page_size", "PAGE_SIZE")),
        ({"page_token": "?"}, ("page_token", "PAGE_TOKEN")),
    ],
)
async def test_wrong_questions(records: Records, asked: dict[str, Any], wrong: tuple[str, str]) -> None:
    """Each wrong field is named."""
    assert [wrong] == await refused(records.calls.ListLaboratoryQuality(qpb.ListLaboratoryQualityRequest(**asked)))
    assert [wrong] == await refused(records.calls.ListOverdueSamples(qpb.ListOverdueSamplesRequest(**asked)))


async def test_31_days_may_be_asked_at_once(records: Records) -> None:
    """And no more."""
    assert [] == await listed(records, days=days("2022-07-02", "2022-08-01"))


async def test_an_answer_names_nobody(records: Records) -> None:
    """No person's key is in it."""
    await records.submit(fresh_id(), person(77), sampling(-30.0))
    request = qpb.ListOverdueSamplesRequest()
    assert person(77) not in (await records.calls.ListOverdueSamples(request)).SerializeToString()


async def test_a_reader_that_gives_up_lets_go_of_the_store(records: Records) -> None:
    """Reading by place in time can be left in the middle, any number of times; writing goes on meanwhile."""
    await records.submit_many([submission(fresh_id(), person(n), result()) for n in range(600)])
    for _ in range(20):
        batches = records.store.by_time(Instant(0), LATEST, LATEST)
        assert 0 < len(await anext(batches))
        await records.submit(fresh_id(), person(1), result())
        await batches.aclose()
    assert [620] == [found["records"] for found in await listed(records, days=days("2022-08-05", "2022-08-05"))]
