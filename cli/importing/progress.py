"""The progress of an import, on standard error: a bar where somebody is looking at it, else a line now and then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from cli.importing.pace import Pace, Seen, spoken
from cli.importing.tally import Tally

LINE_SECONDS = 10.0
"""How often a line is written where standard error is no terminal; an import that takes no longer writes none."""

Show = Callable[[Tally], None]


@contextmanager
def progress_bar(path: Path, position: Callable[[], int]) -> Iterator[Show]:
    """Shows the share of the file that was read, rows a second, time left and rows refused, whenever it is told the
    counts."""
    pace = Pace(path.stat().st_size)

    def see(tally: Tally) -> None:
        pace.see(Seen(monotonic(), position(), tally.rows))

    # Nothing was read yet, whatever finding out the encoding took.
    see(Tally())
    if not sys.stderr.isatty():
        yield _lines(path.name, pace, see)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=1.0, said="")

        def show(tally: Tally) -> None:
            see(tally)
            bar.update(task, completed=pace.share, said=_said(tally, pace))

        yield show


def _lines(name: str, pace: Pace, see: Show) -> Show:
    last = monotonic()

    def show(tally: Tally) -> None:
        nonlocal last
        see(tally)
        if monotonic() - last >= LINE_SECONDS:
            last = monotonic()
            print(f"{name}: {pace.share:.0%} · {_said(tally, pace)}", file=sys.stderr, flush=True)

    return show


def _said(tally: Tally, pace: Pace) -> str:
    return (
        f"{tally.rows} 行 rows · {pace.rate:,.0f} 行/秒 rows/s · 剩余 left {spoken(pace.left)} · "
        f"拒收 refused {tally.bad}"
    )
