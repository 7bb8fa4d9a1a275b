"""Decides when a list of members may be gone by: a wrong one must not cost an answer before somebody has looked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.common.identities import FEED_CHANGED
from services.common.regions import NATION


class ProvenMember(NamedTuple):
    """One store on the list that was proven last. `entry` names what the list says of it (`Member.digest`), `feed_id`
    is the feed that it had, empty where it was not reached."""

    name: str
    entry: str
    feed_id: str


class MemberAnswer(NamedTuple):
    """The answer of one store that was asked who it is. `wrong` is the reason by which it is not the one that is meant,
    empty when it is; `directory_version` names the list that it goes by itself, empty where it does not say."""

    wrong: str
    feed_id: str
    directory_version: str


def list_troubles(
    entries: Mapping[str, str],
    version: str,
    proven: Mapping[str, ProvenMember],
    answers: Mapping[str, MemberAnswer],
) -> Sequence[str]:
    """Returns what keeps a list from being gone by, empty for nothing.

    `entries` are its members by name, as in ProvenMember; `version` names the list; `proven` is the one that was
    proven last, empty for none; `answers` are those of the members that were reached. The nation must have been
    reached, and go by the same list. What the list says anew must be right, and once a list was proven, reached as
    well: the first one must not wait for a region that is down.
    """
    if not entries:
        return ["the list names no store"]
    troubles = [_nation(version, proven.get(NATION), answers.get(NATION))] if NATION in entries else []
    if NATION in proven and NATION not in entries:
        troubles.append("the list that was gone by has a nation, and this one has none")
    for name, entry in entries.items():
        if name in proven and proven[name].entry == entry:
            continue
        answer = answers.get(name)
        if answer is not None and answer.wrong:
            troubles.append(f"{name}: {answer.wrong}")
        elif answer is None and proven and name != NATION:
            troubles.append(f"{name}: new on the list, and not reached")
    return [trouble for trouble in troubles if trouble]


def _nation(version: str, proven: ProvenMember | None, answer: MemberAnswer | None) -> str:
    if answer is None:
        return f"{NATION}: not reached"
    if answer.wrong:
        return f"{NATION}: {answer.wrong}"
    if proven is not None and proven.feed_id and proven.feed_id != answer.feed_id:
        return f"{NATION}: {FEED_CHANGED}"
    # One of a former version does not say.
    if answer.directory_version and answer.directory_version != version:
        return f"{NATION}: another list of members than this lookup's"
    return ""
