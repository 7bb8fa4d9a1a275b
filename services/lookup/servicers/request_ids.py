"""Request ids that belong to who asks."""

from hashlib import blake2b
from uuid import UUID

from services.runtime.rpc.call import Call


def own_request_id(call: Call, request_id: str) -> str:
    """Returns the UUID under which a request is known here, and to the stores that are written for it; empty where it
    has none. It is made of the caller, of those on whose behalf it calls, and of the id that they chose: whoever else
    chooses the same meets neither their answers nor an error."""
    if not request_id:
        return ""
    chosen = "\0".join((call.caller, *call.users, request_id.lower()))
    return str(UUID(bytes=blake2b(chosen.encode(), digest_size=16, person=b"request id").digest()))
