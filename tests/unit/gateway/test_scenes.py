"""Scenes at the gateway, and the date of birth that goes through it and stays nowhere."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1.health_code_service_pb2 import CheckDestinationsRequest, HealthCodeQuery
from hutong.verdict.v1.scene_pb2 import Scene
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.http.views.code import code_json
from gateway.metrics import Outcome
from gateway.settings import GatewaySettings
from services.common.errors import InvalidArgument
from services.common.id_numbers import check_character
from tests.testkit.fakes.mesh import Mesh, compose, until_ready
from tests.testkit.secret import SECRET

SHOW = Purpose.PURPOSE_SHOW_CODE
DIGITS = "31010120190531002"
CHILD = Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=DIGITS + check_character(DIGITS))


@pytest.fixture
def mesh() -> Mesh:
    """A mesh that says which scene was asked about."""
    return Mesh()


@pytest.fixture
async def application(mesh: Mesh) -> AsyncIterator[Application]:
    """The application of a gateway with a cache."""
    gateway = compose(mesh, GatewaySettings(mesh_secret=SECRET), cache=MemoryCache(1000))
    async with gateway.service.running():
        await until_ready(gateway)
        yield gateway.application


def _query(application: Application, scene: Scene.ValueType, document: Document = CHILD):
    return application.admission.query(HealthCodeQuery(document=document, region="310000", scene=scene))


async def test_every_scene_has_an_answer_of_its_own(application: Application, mesh: Mesh) -> None:
    """The code itself, a hotel and the metro are computed apart, cached apart, and found again."""
    scenes = [Scene.SCENE_UNSPECIFIED, Scene.SCENE_HOTEL, Scene.SCENE_METRO]
    first = [await application.show(_query(application, scene), SHOW) for scene in scenes]
    again = [await application.show(_query(application, scene), SHOW) for scene in scenes]
    assert [shown.outcome for shown in first] == [Outcome.MISS] * 3
    assert [shown.outcome for shown in again] == [Outcome.HIT] * 3
    assert [query.scene for query in mesh.asked] == scenes


async def test_the_date_of_birth_goes_to_the_judge_and_is_in_no_entry(application: Application, mesh: Mesh) -> None:
    """It is read from the document of the question."""
    shown = await application.show(_query(application, Scene.SCENE_HOTEL), SHOW)
    assert [query.date_of_birth for query in mesh.asked] == ["2019-05-31"]
    kept = msgspec.json.encode(shown.entry)
    assert b"2019-05-31" not in kept + code_json(shown, SHOW)
    assert b"20190531" not in kept + code_json(shown, SHOW)


async def test_a_passport_tells_no_date_of_birth(application: Application, mesh: Mesh) -> None:
    """And so it exempts nobody."""
    passport = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="E12345678")
    await application.show(_query(application, Scene.SCENE_HOTEL, passport), SHOW)
    assert [query.date_of_birth for query in mesh.asked] == [""]


async def test_destinations_are_asked_about_for_a_scene(application: Application, mesh: Mesh) -> None:
    """Each region by its own rules for it."""
    request = CheckDestinationsRequest(document=CHILD, regions=["110000", "310000"], scene=Scene.SCENE_SCHOOL)
    await application.destinations(request, SHOW)
    assert [(query.region, query.scene, query.date_of_birth) for query in mesh.asked] == [
        ("110000", Scene.SCENE_SCHOOL, "2019-05-31"),
        ("310000", Scene.SCENE_SCHOOL, "2019-05-31"),
    ]


async def test_an_unknown_scene_is_named(application: Application) -> None:
    """Before anybody is asked."""
    with pytest.raises(InvalidArgument) as caught:
        _query(application, 99)  # type: ignore[arg-type]  # an open enum
    assert [(one.field, one.reason) for one in caught.value.violations] == [("scene", "SCENE_UNKNOWN")]


async def test_a_code_tells_scene_rules_counts_and_ends(application: Application, mesh: Mesh) -> None:
    """As the contract has them; words that were said already are null."""

    def shape(verdict: Verdict) -> None:
        verdict.scene = Scene.SCENE_HOTEL
        verdict.judged_by_scene_rules = True
        first = verdict.reasons.add(code="WINDOW_EXPIRED", clause="result-48h")
        first.text.zh, first.text.en = "已届满", "has ended"
        first.ended_at.seconds = 1_662_000_000
        verdict.reasons.add(code="WINDOW_EXPIRED", clause="result-48h")
        further = verdict.further_reasons.add(code="WINDOW_EXPIRED", clause="result-48h", count=197)
        further.text.zh, further.text.en = "另有197次", "and 197"

    mesh.shape = shape
    code = msgspec.json.decode(code_json(await application.show(_query(application, Scene.SCENE_HOTEL), SHOW), SHOW))
    assert (code["scene"], code["judgedBySceneRules"]) == ("HOTEL", True)
    assert [reason["text"] for reason in code["reasons"][-2:]] == [{"zh": "已届满", "en": "has ended"}, None]
    assert [reason["endedAt"] for reason in code["reasons"][-2:]] == ["2022-09-01T10:40:00+08:00", None]
    text = {"zh": "另有197次", "en": "and 197"}
    assert code["furtherReasons"] == [
        {"code": "WINDOW_EXPIRED", "clause": "result-48h", "count": 197, "atLeast": False, "text": text}
    ]
