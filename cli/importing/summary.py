"""Tells whoever ran an import what it came to."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.importing.tally import Tally
    from cli.laboratory_files.samples import Notes

MOST_SHOWN = 20
"""Different things passed over that are named; the others are counted together."""


def summarise(unused: tuple[str, ...], tally: "Tally", notes: "Notes") -> None:
    """Prints the counts of rows, and of what was passed over and cleaned, Chinese before English."""
    if unused:
        print(f"  未使用的列 / columns not used: {', '.join(unused)}")
    cleaned = "、".join(f"{what} ×{count}" for what, count in notes.cleaned.most_common())
    lines = (
        (tally.created, "新入库 / stored"),
        (tally.result_added, "采样记录得到结果 / sampling records got their result"),
        (tally.amended, "更正已生效 / corrections took effect"),
        (tally.retracted, "撤回已生效 / withdrawals took effect"),
        (tally.unchanged, "此前已入库 / stored before, unchanged"),
        (tally.already_retracted, "此前已撤回，未改动 / withdrawn before, left so"),
        (tally.conflict, "与已入库的内容冲突 / in conflict with what is stored"),
        (tally.refused + tally.unreadable, "拒收 / refused"),
        (notes.titles, "标题行，跳过 / lines of title, passed over"),
        (notes.totals, "合计、备注行，跳过 / rows of totals and remarks, passed over"),
        (notes.cleaned.total(), f"单元格去除了标记 / cells had marks taken off: {cleaned}"),
        (notes.passed_over.total(), "不是新冠病毒核酸检测，跳过 / no SARS-CoV-2 nucleic-acid tests, passed over:"),
    )
    for count, text in lines:
        if count:
            print(f"  {count:>8}  {text}")
    for what, count in notes.passed_over.most_common(MOST_SHOWN):
        print(f"            {count:>8}  {what}")
    others = len(notes.passed_over) - MOST_SHOWN
    if others > 0:
        print(f"            另有 {others} 种 / {others} others")
