"""The edits that policies in use allow.

A policy in force is never edited, withdrawn or preceded, so that every past verdict can be given again.
"""

from collections.abc import Iterator, Mapping

from services.common.instants import Instant
from services.verdict.policy.files import LoadedPolicy
from services.verdict.policy.yaml_document import PolicyFileError


def edits_refused(
    used: Mapping[str, LoadedPolicy], coming: Mapping[str, LoadedPolicy], now: Instant
) -> Iterator[PolicyFileError]:
    """Yields why the files that are coming, by policy id, cannot take the place of those that are used: nothing where
    they can. What starts later than `now` may change."""
    known = {item.policy.ref.region for item in used.values()}
    for policy_id, added in coming.items():
        if policy_id not in used and added.policy.ref.region in known and added.policy.starts <= now:
            yield PolicyFileError(
                added.where(), f"the policy {policy_id} starts in the past: a new version starts later"
            )
    for policy_id, old in used.items():
        if old.policy.starts > now:
            continue
        new = coming.get(policy_id)
        if new is None:
            yield PolicyFileError(str(old.path), f"the policy {policy_id} is in force and cannot be withdrawn")
        elif new.policy.ref.content_hash != old.policy.ref.content_hash:
            yield PolicyFileError(
                new.where(),
                f"the policy {policy_id} is in force and cannot be edited: add a version that starts later",
            )
