"""A progress bar on standard error, where somebody is looking at it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.importing.tally import Tally


@contextmanager
def progress_bar(path: Path, position: Callable[[], int]) -> Iterator[Callable[[Tally], None]]:
    """Shows how much of the file was stored and how many rows a second; nothing unless standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda tally: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]} 行 rows · {task.fields[rate]:.0f}/s · 拒收 refused {task.fields[bad]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=path.stat().st_size, rows=0, rate=0.0, bad=0)

        def show(tally: Tally) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = tally.rows / elapsed if elapsed > 0 else 0.0
            bar.update(task, completed=position(), rows=tally.rows, rate=rate, bad=tally.bad)

        yield show
