"""Verdicts of another mesh, of a clock that is off, and by policies that went back are not shown."""

import pytest
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.verdict.v1.verdict_pb2 import PolicyRef, Verdict

from gateway.codes.verdict_checks import VerdictChecks
from services.common.errors import Unavailable
from services.common.identities import RECORDS, ExpectedStore
from services.common.instants import DAY, HOUR, SECOND, Instant, to_timestamp
from tests.testkit.identities import FINGERPRINT, gateway_mesh

NOW = Instant(1_660_000_000 * SECOND)
OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE


def verdict(
    *, at: int = NOW, known_at: int = NOW, effective_from: int = 0, nation: SourceStatus.ValueType = OK
) -> Verdict:
    """A verdict on the present, by the policy of Beijing that took effect then."""
    return Verdict(
        region="110000",
        at=to_timestamp(Instant(at)),
        computed_at=to_timestamp(Instant(known_at)),
        policy=PolicyRef(region="110000", effective_from=to_timestamp(Instant(effective_from))),
        coverage=[SourceCoverage(source="nation", status=nation)],
    )


def reason_of(checks: VerdictChecks, given: Verdict, asked_at: int = NOW) -> str:
    """Returns the reason for which a verdict is not shown, empty when it is shown."""
    try:
        checks.check_live(given, Instant(asked_at), Instant(asked_at + SECOND))
    except Unavailable as error:
        return error.reason
    return ""


def test_a_policy_in_force_is_not_taken_back() -> None:
    """A replica with an old set judges otherwise; before the later policy took effect, the earlier was right."""
    checks = VerdictChecks(gateway_mesh())
    earlier, later = NOW - 9 * DAY, NOW - DAY
    assert "" == reason_of(checks, verdict(effective_from=earlier))
    assert "" == reason_of(checks, verdict(effective_from=later))
    assert "POLICIES_WENT_BACK" == reason_of(checks, verdict(effective_from=earlier))
    assert "" == reason_of(checks, verdict(effective_from=earlier, at=later - 1))
    assert "" == reason_of(checks, verdict(effective_from=later))


@pytest.mark.parametrize(("off", "reason"), [(-HOUR, "CLOCK_OFF"), (HOUR, "CLOCK_OFF"), (-SECOND, ""), (SECOND, "")])
def test_a_clock_that_is_off_judges_another_moment(off: int, reason: str) -> None:
    """Whoever's it was: a window ends an hour too soon, or too late."""
    assert reason == reason_of(VerdictChecks(gateway_mesh()), verdict(known_at=NOW + off))


@pytest.mark.parametrize(
    ("heard", "told", "status", "refused"),
    [
        ("real", "real", OK, False),
        ("real", "copy", OK, True),
        ("real", "copy", UNREACHABLE, False),
        ("", "copy", OK, False),
    ],
)
def test_a_verdict_that_rests_on_another_nation_is_another_meshs(
    heard: str, told: str, status: SourceStatus.ValueType, refused: bool
) -> None:
    """A copy of the mesh has the same secret, and other people in it."""
    mesh = gateway_mesh()
    if heard:
        mesh.hear_nation(ExpectedStore(RECORDS, "nation", FINGERPRINT, heard).message())
    checks = VerdictChecks(mesh)
    if not refused:
        checks.check(verdict(nation=status), {"nation": told})
        return
    with pytest.raises(Unavailable) as caught:
        checks.check(verdict(nation=status), {"nation": told})
    assert "FEED_CHANGED" == caught.value.reason
