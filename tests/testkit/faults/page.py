"""The measured column of docs/faults.md: `python -m tests.testkit.faults.page [RECORD…]` takes the records of runs.

It keeps the newest run of each test in tests/data/faults.json, and writes the column from there.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.testkit.checks.named_tests import named
from tests.testkit.tools import ROOT

PAGE = ROOT / "docs" / "faults.md"
RECORD = ROOT / "tests" / "data" / "faults.json"
HEAD = "| Fault | What a holder saw | What was lost | How long | Test | Measured |"
COLUMNS = 6
UNTIL = "<!-- made by tests.testkit.wrong_settings.page -->"
"""From here on rows are another page's, all of one test."""
NOTHING = "–"
MACHINE = "The machine of the last run: "

Record = Mapping[str, Any]


def kept(record: Mapping[str, Record], lines: Iterable[Record]) -> dict[str, Record]:
    """Returns the record with the runs that these lines tell of, by test: each run takes the place of those before. The
    parameters of a test are one run, and of a test that ran twice in it the later counts."""
    runs: dict[str, dict[str, Record]] = {}
    for line in lines:
        runs.setdefault(line["test"], {})[line["parameters"]] = line
    return dict(sorted({**record, **{test: _run(list(of.values())) for test, of in runs.items()}}.items()))


def _run(lines: Sequence[Record]) -> Record:
    cases: dict[str, dict[str, Any]] = {}
    for line in lines:
        for name, one in line["cases"].items():
            case = cases.setdefault(name, {"seen": Counter(), "lost": 0, "longest": None})
            case["seen"].update(one["seen"])
            case["lost"] += one["lost"]
            if one["longest"] is not None:
                case["longest"] = round(max(one["longest"], case["longest"] or 0.0), 1)
    newest = lines[-1]
    return {
        "on": newest["on"],
        "machine": newest["machine"],
        "passed": sum(line["passed"] for line in lines),
        "runs": len(lines),
        "seconds": round(sum(line["seconds"] for line in lines), 1),
        "cases": {name: {**case, "seen": dict(case["seen"])} for name, case in cases.items()},
    }


def cell(tests: Iterable[str], record: Mapping[str, Record]) -> str:
    """Returns what was measured in the last runs of these tests."""
    said = [_said(record[test]) for test in tests if test in record]
    return "; ".join(said) or NOTHING


def _said(run: Record) -> str:
    failed = run["runs"] - run["passed"]
    times = f" {run['runs']} cases" if run["runs"] > 1 else ""
    parts = [f"{run['on']}: **{failed} failed**" if failed else f"{run['on']}: passed,{times} {run['seconds']:g} s"]
    for name, case in run["cases"].items():
        seen = ", ".join(f"{count:,} {what}" for what, count in case["seen"].items())
        longest = "" if case["longest"] is None else f", longest {case['longest']:g} s"
        parts.append(f"{name}{': ' if name else ''}{seen}; {case['lost']:,} lost{longest}")
    return ". ".join(parts)


def page(text: str, record: Mapping[str, Record]) -> str:
    """Returns the page with the measured column as the record has it."""
    lines = text.splitlines()
    end = lines.index(UNTIL)
    for at, line in enumerate(lines[:end]):
        if line.startswith(MACHINE):
            lines[at] = MACHINE + _machine(record)
        if not line.startswith("|"):
            continue
        cells = [one.strip() for one in line.strip().strip("|").split("|")][: COLUMNS - 1]
        if set(line) <= set("|-: "):
            lines[at] = "|---" * COLUMNS + "|"
        elif not lines[at - 1].startswith("|"):
            lines[at] = HEAD
        else:
            tests = [f"{module}::{name}" for module, name in named(cells[-1])]
            lines[at] = "| " + " | ".join([*cells, cell(tests, record)]) + " |"
    return "\n".join(lines) + "\n"


def _machine(record: Mapping[str, Record]) -> str:
    newest = max(record.values(), key=lambda run: str(run["on"]), default=None)
    return "none." if newest is None else f"{newest['machine'].partition(', load')[0]}, {newest['on']}."


def read_record() -> dict[str, Record]:
    """Reads what is kept of the last runs, by test."""
    record: dict[str, Record] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def main(paths: Sequence[str]) -> None:
    """Takes what these files tell, and writes the column."""
    record = read_record()
    text = PAGE.read_text(encoding="utf-8")
    for path in paths:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        record = kept(record, map(json.loads, lines))
    tests = {f"{module}::{name}" for module, name in named(text)}
    record = {test: run for test, run in record.items() if test in tests}
    RECORD.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(text, record), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
