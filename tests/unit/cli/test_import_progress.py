"""The pace of an import and the time left are told as they are."""

from pathlib import Path

import pytest

from cli.importing import progress
from cli.importing.pace import WINDOW_SECONDS, Pace, Seen, spoken
from cli.importing.tally import Tally


def test_the_pace_is_that_of_the_last_seconds():
    """Rows a second and time left are of the window; a burst before it, as when an import is resumed, is forgotten."""
    pace = Pace(10_000)
    pace.see(Seen(0.0, 0, 0))
    pace.see(Seen(0.1, 5_000, 500_000))
    for second in range(1, 31):
        pace.see(Seen(float(second), 5_000 + 100 * second, 500_000 + 200 * second))
    assert (200.0, 20.0, 0.8) == (pace.rate, pace.left, pace.share)
    assert WINDOW_SECONDS < 30


def test_slow_batches_have_a_pace_too():
    """What comes less often than the window is long still tells how fast it comes."""
    pace = Pace(100)
    for at, rows in ((0.0, 0), (60.0, 600), (120.0, 1_200)):
        pace.see(Seen(at, rows // 60, rows))
    assert 10.0 == pace.rate
    assert 480.0 == pace.left


def test_nothing_is_made_up_before_anything_is_known():
    """Before a second look there is neither a rate nor a time left; an empty file has none to divide by."""
    pace = Pace(0)
    assert (0.0, None, 0.0) == (pace.rate, pace.left, pace.share)
    pace.see(Seen(1.0, 0, 0))
    assert (0.0, None, 0.0) == (pace.rate, pace.left, pace.share)


def test_a_file_that_grows_is_not_over_before_its_time():
    """More was read than there was at first: all of it, and nothing is left."""
    pace = Pace(100)
    pace.see(Seen(0.0, 0, 0))
    pace.see(Seen(1.0, 150, 10))
    assert (1.0, 0.0) == (pace.share, pace.left)


@pytest.mark.parametrize(("seconds", "text"), [(None, "-:--"), (0.2, "0:00"), (123.4, "2:03"), (3723.0, "1:02:03")])
def test_times_are_spoken_as_people_read_them(seconds, text):
    """Minutes and seconds, hours where there are any."""
    assert text == spoken(seconds)


def test_lines_where_there_is_no_terminal(tmp_path: Path, capsys, monkeypatch):
    """In a log: a line every so often, plain text without control characters, and none for a short import."""
    path = tmp_path / "x.csv"
    path.write_bytes(bytes(1000))
    with progress.progress_bar(path, lambda: 500) as show:
        show(Tally(created=5))
    assert "" == capsys.readouterr().err
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with progress.progress_bar(path, lambda: 500) as show:
        show(Tally(created=5, refused=1))
    said = capsys.readouterr().err
    assert said.startswith("x.csv: 50% · 6 行 rows · ")
    assert said.endswith("拒收 refused 1\n")
    assert "\x1b" not in said
    assert "\r" not in said
