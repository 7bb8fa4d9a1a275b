"""The table of wrong settings in docs/faults.md: `python -m tests.testkit.wrong_settings.page` writes it there."""

from tests.testkit.tools import ROOT
from tests.testkit.wrong_settings.table import REFUSED, WRONG, Mistake

PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- made by tests.testkit.wrong_settings.page -->\n", "<!-- end -->\n"
TEST = "`tests/fault/test_wrong_settings.py::test_no_mistake_shows_a_false_code`"


def _row(mistake: Mistake) -> str:
    if mistake.outcome == REFUSED:
        seen = "nothing: it does not start, and the sentence names the setting"
    elif mistake.noticed_later:
        seen = f"what was lost is missing for at most the bound, then UNDETERMINED or an error; said: {mistake.says}"
    elif mistake.says:
        seen = f"right codes, or UNDETERMINED, or an error; said within 10 s: {mistake.says}"
    else:
        seen = "right codes"
    fault = f"{mistake.service}: `HUTONG_{mistake.variable}` is {mistake.what}"
    return f"| {fault} | {seen} | nothing | until it is mended | {TEST} |"


def table() -> str:
    """The rows, in order, between their marks."""
    head = "| Fault | What a holder saw | What was lost | How long | Test |\n|---|---|---|---|---|\n"
    return BEGIN + head + "".join(f"{_row(mistake)}\n" for mistake in WRONG) + END


def main() -> None:
    """Replaces the table in the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + table() + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
