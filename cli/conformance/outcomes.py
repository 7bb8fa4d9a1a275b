"""The outcomes of cases: as text, as JUnit's XML, and as the report that is signed."""

from collections.abc import Sequence
from typing import Literal
from xml.etree import ElementTree

from msgspec import Struct


class CaseOutcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of one case. `differences` say where it failed, or why it was skipped."""

    id: str
    name: str
    outcome: Literal["passed", "failed", "skipped"]
    differences: list[str] = []
    seconds: float = 0.0


class Report(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run. `cases` names the cases, such as `region`, `cases_digest` their text (SHA-256); `at` is when it began,
    RFC 3339, `software` the version that played."""

    target: str
    cases: str
    cases_version: int
    cases_digest: str
    run_id: str
    at: str
    software: str
    outcomes: list[CaseOutcome]

    @property
    def failed(self) -> int:
        """Returns how many failed."""
        return _count(self.outcomes, "failed")


def _count(outcomes: Sequence[CaseOutcome], outcome: str) -> int:
    return sum(one.outcome == outcome for one in outcomes)


_MARKS = {"passed": "通过 pass", "failed": "未过 FAIL", "skipped": "未做 skip"}


def as_text(report: Report) -> str:
    """Returns a line for each case, the differences below it, and the counts."""
    lines: list[str] = []
    for one in report.outcomes:
        lines.append(f"{_MARKS[one.outcome]}  {one.id}  {one.name}")
        lines += [f"      {difference}" for difference in one.differences]
    passed, failed, skipped = (_count(report.outcomes, word) for word in _MARKS)
    lines.append(
        f"{report.cases} v{report.cases_version}: {passed} 项通过，{failed} 项未过，{skipped} 项未做 / "
        f"{passed} passed, {failed} failed, {skipped} skipped"
    )
    return "\n".join(lines)


def as_junit(report: Report) -> bytes:
    """Returns the XML that JUnit's readers take."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"hutong.conform.{report.cases}",
        tests=str(len(report.outcomes)),
        failures=str(report.failed),
        errors="0",
        skipped=str(_count(report.outcomes, "skipped")),
        timestamp=report.at,
        time=f"{sum(one.seconds for one in report.outcomes):.3f}",
    )
    for one in report.outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"hutong.conform.{report.cases}", name=one.id, time=f"{one.seconds:.3f}"
        )
        if one.outcome != "passed":
            tag = "failure" if one.outcome == "failed" else "skipped"
            below = ElementTree.SubElement(case, tag, message=one.name)
            below.text = _printable("\n".join(one.differences))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    # XML 1.0 has no control characters, however they are written.
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)
