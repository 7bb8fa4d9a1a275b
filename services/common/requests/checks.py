"""Rules for a check's scene, and for the date of birth that a rule may exempt by. Reasons: SCENE_UNKNOWN,
DATE_OF_BIRTH_FORMAT."""

import re
from datetime import date

from hutong.verdict.v1.scene_pb2 import Scene

from services.common.errors import Violation
from services.common.requests.violations import refuse, violation

_SCENES = frozenset(Scene.values())
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def scene(value: int, field: str = "scene") -> list[Violation]:
    """Checks a scene; none at all is the health code itself. Reason SCENE_UNKNOWN."""
    if value in _SCENES:
        return []
    return violation(field, "SCENE_UNKNOWN", "场所未知", "There is no such scene")


def read_date_of_birth(text: str, field: str = "date_of_birth") -> date | None:
    """Returns the date of a text, None where it is empty. Raises InvalidArgument (DATE_OF_BIRTH_FORMAT)."""
    if not text:
        return None
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    refuse(
        violation(
            field,
            "DATE_OF_BIRTH_FORMAT",
            "出生日期应为真实日期，形如 2019-05-31",
            "A date of birth is a real date, written like 2019-05-31",
        )
    )
    return None
