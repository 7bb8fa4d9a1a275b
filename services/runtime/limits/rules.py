"""The rules: how fast each kind of asker may ask each class, as settings say."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.limits.classes import LimitClass

PRINCIPAL = "principal"
ADDRESS = "address"

NO_LIMITS = "none"
"""The name that, with the value `true`, switches all limits off: HUTONG_LIMITS=none=true."""


class LimitRuleError(ValueError):
    """A rule will not do; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A bucket of `burst` tokens that fills by `rate` a second. `name` is told to whoever meets it."""

    name: str
    rate: float
    burst: float


_UNKNOWN = "unknown"
"""The class of answers about people of whom nothing is known: what is beyond this rule makes the next ones dearer."""

_DEFAULTS: Mapping[str, tuple[float, float]] = {
    # An address may be a province's mobile network, with thousands of phones; a principal all turnstiles of a city.
    f"{LimitClass.CODE}-per-{ADDRESS}": (1_000, 20_000),
    f"{LimitClass.CODE}-per-{PRINCIPAL}": (2_000, 40_000),
    f"{LimitClass.SEARCH}-per-{ADDRESS}": (200, 5_000),
    f"{LimitClass.SEARCH}-per-{PRINCIPAL}": (500, 10_000),
    f"{LimitClass.BATCH}-per-{ADDRESS}": (5_000, 100_000),
    f"{LimitClass.BATCH}-per-{PRINCIPAL}": (20_000, 200_000),
    f"{LimitClass.WRITE}-per-{ADDRESS}": (50_000, 500_000),
    f"{LimitClass.WRITE}-per-{PRINCIPAL}": (50_000, 500_000),
    f"{LimitClass.SUPERVISION}-per-{ADDRESS}": (50, 1_000),
    f"{LimitClass.SUPERVISION}-per-{PRINCIPAL}": (50, 1_000),
    f"{LimitClass.DIRECTORY}-per-{ADDRESS}": (200, 5_000),
    f"{LimitClass.DIRECTORY}-per-{PRINCIPAL}": (500, 10_000),
    f"{_UNKNOWN}-per-{ADDRESS}": (20, 2_000),
    f"{_UNKNOWN}-per-{PRINCIPAL}": (20, 2_000),
}


class Rules:
    """All rules, by class and kind of asker."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._of = {
            (kind, asker): rules[f"{kind}-per-{asker}"] for kind in LimitClass for asker in (PRINCIPAL, ADDRESS)
        }
        self._unknown = {asker: rules[f"{_UNKNOWN}-per-{asker}"] for asker in (PRINCIPAL, ADDRESS)}

    def of(self, kind: LimitClass, asker: str) -> Rule:
        """Returns the rule of a class for a principal or an address."""
        return self._of[kind, asker]

    def unknown(self, asker: str) -> Rule:
        """Returns how many answers about unknown people are free for a principal or an address."""
        return self._unknown[asker]


def parse_rules(changed: Mapping[str, str]) -> Rules | None:
    """Returns the default rules with those that are `changed`, such as `{"code-per-address": "100/500"}`: a second, and
    at once. None for `{"none": "true"}`. Raises LimitRuleError."""
    if changed.get(NO_LIMITS) == "true" and len(changed) == 1:
        return None
    unknown = [name for name in changed if name not in _DEFAULTS]
    if unknown:
        raise LimitRuleError(f"there is no limit {unknown[0]}; there are {', '.join(_DEFAULTS)}")
    numbers = {**_DEFAULTS, **{name: _numbers(name, value) for name, value in changed.items()}}
    return Rules({name: Rule(name, rate, burst) for name, (rate, burst) in numbers.items()})


def _numbers(name: str, value: str) -> tuple[float, float]:
    first, slash, second = value.partition("/")
    try:
        rate, burst = float(first), float(second)
    except ValueError:
        rate = burst = 0.0
    if not (slash and 0 < rate < 1e9 and 1 <= burst < 1e9):
        raise LimitRuleError(f"{name}: expected RATE/BURST, a second and at once, such as 100/500, not {value!r}")
    return rate, burst


def rules_wrong(changed: Mapping[str, str]) -> str:
    """Returns what is wrong with changed rules, empty when nothing is."""
    try:
        parse_rules(changed)
    except LimitRuleError as error:
        return str(error)
    return ""
