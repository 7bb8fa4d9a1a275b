"""`python -m services.runtime.audit.backup`: copies all audit trails of a folder while their processes go on."""

import argparse
import sys
from pathlib import Path

from services.runtime.audit.copying import copy_trail
from services.runtime.audit.note import NoteError
from services.runtime.audit.segments import CHECKPOINT, AuditError


def back_up_all(trails: Path, backups: Path) -> list[tuple[Path, str]]:
    """Brings the backup of every trail below a folder up to that trail's latest checkpoint, each in the folder of the
    same name below `backups`. Returns the trails that could not be copied, by their path below `trails`, each with the
    reason; the others are copied all the same. Raises OSError for a folder that cannot be read."""
    wrong: list[tuple[Path, str]] = []
    for note in sorted(trails.rglob(CHECKPOINT)):
        name = note.parent.relative_to(trails)
        try:
            verified = copy_trail(note.parent, backups / name)
        except (AuditError, NoteError, OSError) as error:
            wrong.append((name, str(error)))
        else:
            print(f"已备份 / backed up: {name}, {verified.lines} 行 lines")  # noqa: T201  # this is what it is for
    return wrong


def main() -> None:
    """Copies the trails of the folder that is given; exit status 4 when one could not be copied."""
    parser = argparse.ArgumentParser(
        prog="python -m services.runtime.audit.backup",
        description="Copies every audit trail below a folder up to its latest checkpoint; never a key.",
    )
    parser.add_argument("trails", type=Path, metavar="TRAILS", help="the folder that has the trails")
    parser.add_argument("backups", type=Path, metavar="BACKUPS", help="where their copies are; they may grow")
    args = parser.parse_args()
    try:
        wrong = back_up_all(args.trails, args.backups)
    except OSError as error:
        wrong = [(args.trails, str(error))]
    for name, reason in wrong:
        print(f"hutong: {name}: {reason}", file=sys.stderr)  # noqa: T201
    sys.exit(4 if wrong else 0)


if __name__ == "__main__":
    main()
