"""Two regions registered a laboratory under one id: the nation keeps the standing of both, whoever came first."""

from pathlib import Path

from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_read_service_pb2 import ListLaboratoriesRequest

from tests.testkit.builders.records import hours, person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, follow, opened
from tests.testkit.servers.store_urls import sqlite_copy, sqlite_url

LABORATORY = "430000-xiangya"


async def register(records: Records, region: str) -> None:
    """The laboratory, as a region knows it."""
    name = LocalizedText(zh=region, en=region)
    await records.calls.PutLaboratory(wpb.PutLaboratoryRequest(region=region, laboratory=LABORATORY, display_name=name))


async def suspensions(records: Records) -> dict[str, int]:
    """Returns the laboratory of a person's result, and the number of its suspensions that stand."""
    answer = await records.batch([person(1)])
    return {
        one.region: sum(not suspension.HasField("lifted_at") for suspension in one.suspensions)
        for one in answer.laboratories
    }


async def test_a_namesake_hides_no_suspension(tmp_path: Path, nation_url: str) -> None:
    """The second region's suspension stands beside the first's registration, and is lifted; when that region was
    restored, and lacks the lifting, or both, they are given back. What is said of the first stays as it is."""
    async with opened(nation_url, "nation") as store, opened(sqlite_url(tmp_path, "hunan")) as hunan_store:
        whole = Records(store, ManualClock(), "nation", keeps=("360000",))
        await whole.submit("FILE", person(1), result(laboratory=LABORATORY), region="360000")
        await register(whole, "360000")
        hunan = Records(hunan_store, ManualClock())
        await register(hunan, "430000")
        whole = await follow(whole, hunan)
        assert await suspensions(whole) == {"360000": 0, "430000": 0}
        sqlite_copy(tmp_path, "hunan", "backup")
        await hunan.calls.SuspendLaboratory(
            wpb.SuspendLaboratoryRequest(
                laboratory=LABORATORY, suspension_id="s", sampled=Interval(to=hours(0)), cause="why"
            )
        )
        whole = await follow(whole, hunan)
        assert await suspensions(whole) == {"360000": 0, "430000": 1}
        listed = await whole.calls.ListLaboratories(ListLaboratoriesRequest())
        assert [one.region for one in listed.laboratories] == ["360000", "430000"]
        sqlite_copy(tmp_path, "hunan", "suspended")
        await hunan.calls.LiftSuspension(
            wpb.LiftSuspensionRequest(laboratory=LABORATORY, suspension_id="s", cause="over")
        )
        whole = await follow(whole, hunan)
        assert await suspensions(whole) == {"360000": 0, "430000": 0}
        for name in ("suspended", "backup"):
            async with opened(sqlite_url(tmp_path, name)) as restored_store:
                restored = Records(restored_store, ManualClock())
                whole = await follow(whole, restored)
                assert await suspensions(whole) == {"360000": 0, "430000": 0}
                [given] = (await restored.calls.ListLaboratories(ListLaboratoriesRequest())).laboratories
                assert [one.HasField("lifted_at") for one in given.suspensions] == [True]
