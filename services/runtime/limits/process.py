"""The limiter that a process's settings say."""

from services.runtime.limits.buckets import SharedBuckets
from services.runtime.limits.limiter import Limiter
from services.runtime.limits.rules import LimitRuleError, parse_rules
from services.runtime.settings.environment import ServerSettings, SettingsError


def process_limiter(settings: ServerSettings, shared: SharedBuckets | None = None) -> Limiter | None:
    """Returns what limits the callers of a process; None where HUTONG_LIMITS says so. Raises SettingsError."""
    try:
        rules = parse_rules(settings.limits)
    except LimitRuleError as error:
        raise SettingsError(f"HUTONG_LIMITS: {error}") from None
    return None if rules is None else Limiter(rules, shared)
