"""A draft changes the past: who loses, who gains, and how many repeat tests that is."""

from pathlib import Path

from services.common.instants import DAY, HOUR, Instant, parse_rfc3339
from services.verdict.domain.evidence.values import Channel, Kind, Record, Result, Scene, Tube
from services.verdict.policy.files import DEFAULT_DIRECTORY, load_directory, policy_paths, read_policy
from services.verdict.policy.tools.simulation import Comparison, Figures, Group, Simulation, lay_over

USED = load_directory()
BEGIN = parse_rfc3339("2022-10-01T12:00:00+08:00")
DAYS = [Instant(BEGIN + number * DAY) for number in range(4)]
HENAN = "410000"


def _draft(directory: Path, text: str, region: str = HENAN, starts: str = "2023-01-01") -> Comparison:
    folder = directory / region
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{starts}.yaml").write_text(text, encoding="utf-8")
    return lay_over(USED, [read_policy(path).policy for path in policy_paths(directory)], DAYS)


def _shorter(old: str = "48", new: str = "24") -> str:
    text = (DEFAULT_DIRECTORY / HENAN / "2022-09-01.yaml").read_text(encoding="utf-8")
    return text.replace("2022-09-01T", "2023-01-01T").replace(f"hours: {old}", f"hours: {new}")


def _negative(region: str, reported: Instant, source_id: str = "a") -> Record:
    return Record(
        region=region,
        source_id=source_id,
        kind=Kind.RESULT,
        result=Result.NEGATIVE,
        tube=Tube.SINGLE,
        channel=Channel.LABORATORY,
        laboratory="lab",
        sampled_at=Instant(reported - 2 * HOUR),
        reported_at=reported,
    )


def test_a_shorter_window_takes_recognition_away(tmp_path: Path):
    """Half a day before the first instant: after a day and a half only the window of 48 hours holds."""
    comparison = _draft(tmp_path, _shorter())
    assert [place for place in comparison.places if place[0] != HENAN] == []
    simulation = Simulation(comparison, DAYS)
    test = [_negative("430000", Instant(BEGIN - 12 * HOUR))]
    simulation.add([test] * 4, {})
    simulation.add([[]] * 4, {})
    assert (simulation.people, simulation.losing, simulation.gaining) == (2, 1, 0)
    assert simulation.groups == {Group(HENAN, Scene.NONE, "430000", "NATIONAL_NOTICE"): Figures(losing=1, tests_owed=1)}


def test_every_run_of_refusals_owes_one_test(tmp_path: Path):
    """Two tests three days apart: each is refused a day earlier than it was."""
    simulation = Simulation(_draft(tmp_path, _shorter()), DAYS)
    first = _negative("430000", Instant(BEGIN - 30 * HOUR))
    second = _negative("430000", Instant(BEGIN + 18 * HOUR), "b")
    simulation.add([[first], [first, second], [first, second], [first, second]], {})
    (figures,) = simulation.groups.values()
    # Refused on the first day; recognised by the second test on the next; refused again on the third.
    assert figures == Figures(losing=1, tests_owed=2)


def test_only_what_was_known_then_counts(tmp_path: Path):
    """A result that was not known before the last instant changes nothing earlier."""
    simulation = Simulation(_draft(tmp_path, _shorter()), DAYS)
    test = [_negative("430000", Instant(BEGIN - 12 * HOUR))]
    simulation.add([[], [], [], test], {})
    assert simulation.losing == 0


def test_a_longer_window_gives_recognition(tmp_path: Path):
    """And saves a repeat test."""
    simulation = Simulation(_draft(tmp_path, _shorter(new="96")), DAYS)
    test = [_negative("430000", Instant(BEGIN - 12 * HOUR))]
    simulation.add([test] * 4, {})
    assert simulation.groups == {
        Group(HENAN, Scene.NONE, "430000", "NATIONAL_NOTICE"): Figures(gaining=1, tests_saved=1)
    }


def test_the_notice_that_ended_checks_as_a_draft():
    """Everybody gains everywhere, but in the scenes that go on asking."""
    lifted = DEFAULT_DIRECTORY.with_name("lifted")
    comparison = lay_over(USED, [read_policy(path).policy for path in policy_paths(lifted)], DAYS)
    simulation = Simulation(comparison, DAYS[:1])
    simulation.add([[]], {})
    assert {(group.region, group.ground) for group in simulation.groups} == {
        (region, "NOTHING_REQUIRED") for region in USED.regions()
    }
    assert simulation.losing == 0
    assert Scene.HOSPITAL not in {group.scene for group in simulation.groups}


def test_the_same_policies_change_nothing():
    """No place can differ, so nobody is judged twice."""
    files = policy_paths(DEFAULT_DIRECTORY / HENAN)
    assert lay_over(USED, [read_policy(path).policy for path in files], DAYS).places == ()
