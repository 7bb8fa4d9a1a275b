"""A decision's people under the version that a store writes, and what it rests on under the decision's own."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.correction_requests import StoredCorrectionRequest
from services.records.domain.holders import Moved
from services.records.domain.revisions import PersonRecord, StoredRevision
from services.records.store.moved_keys import with_key
from services.records.store.unit_of_work import Decide, Known, Plan, Touch

Key = Callable[[bytes], bytes]


def written_touch(touch: Touch, write: Key, version: int) -> Touch:
    """Returns the same touch with the keys that the store writes, of this version; 0 where only its fingerprint tells
    which."""
    return replace(
        touch,
        records={record: None if key is None else write(key) for record, key in touch.records.items()},
        others=[PersonRecord(write(record.person_key), record.id) for record in touch.others],
        requester=[write(key) for key in touch.requester],
        key_version=version,
    )


def written_decide(decide: Decide, own: Key, write: Key) -> Decide:
    """Returns the same decision, given what is known under the store's keys, with a plan under them."""

    def decided(known: Known) -> Plan:
        plan = decide(_own_known(known, own))
        people: set[bytes] = set(_people(known))
        people.update(own(person) for person in list(people))
        people.update(new.person_key for new in plan.firsts)
        people.update(new.person_key for new in plan.revisions)
        return _written_plan(plan, people, write)

    return decided


def _people(known: Known) -> Iterable[bytes]:
    for history in (*known.histories.values(), *known.others.values()):
        for revision in history:
            yield revision.person_key
    if known.conflict is not None:
        yield known.conflict.person_key
    for request in known.requests:
        yield request.person_key


def _own_known(known: Known, own: Key) -> Known:
    def revision(stored: StoredRevision) -> StoredRevision:
        key = own(stored.person_key)
        return replace(stored, person_key=key, body=with_key(stored.body, key))

    return Known(
        {record: [revision(one) for one in history] for record, history in known.histories.items()},
        known.laboratories,
        known.cursor,
        None if known.conflict is None else own_conflict(known.conflict, own),
        {
            PersonRecord(own(record.person_key), record.id): [revision(one) for one in history]
            for record, history in known.others.items()
        },
        [own_request(request, own) for request in known.requests],
        None if known.correction_request is None else own_request(known.correction_request, own),
    )


def own_conflict(conflict: StoredConflict, own: Key) -> StoredConflict:
    """Returns the same conflict with this process's own key."""
    return replace(conflict, person_key=own(conflict.person_key))


def own_request(request: StoredCorrectionRequest, own: Key) -> StoredCorrectionRequest:
    """Returns the same correction request with this process's own key."""
    return replace(request, person_key=own(request.person_key))


def _written_plan(plan: Plan, people: Iterable[bytes], write: Key) -> Plan:
    keys = [(key, written) for key in people if (written := write(key)) != key]

    def answer(committed: Instant) -> bytes:
        # Kept for retries, it outlives this process and its version: a key is as long as the other.
        body = plan.answer(committed)
        for own, written in keys:
            body = body.replace(own, written)
        return body

    return replace(
        plan,
        answer=answer,
        revisions=[
            replace(new, person_key=(key := write(new.person_key)), body=with_key(new.body, key))
            for new in plan.revisions
        ],
        firsts=[
            new._replace(person_key=(key := write(new.person_key)), body=with_key(new.body, key)) for new in plan.firsts
        ],
        conflicts=[replace(one, person_key=write(one.person_key)) for one in plan.conflicts],
        requested=None
        if plan.requested is None
        else replace(plan.requested, person_key=write(plan.requested.person_key)),
        moved=[Moved(one.id, write(one.former), write(one.holder)) for one in plan.moved],
    )
