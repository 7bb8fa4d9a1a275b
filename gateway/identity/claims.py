"""Tells whom a token's claims name. Pure.

`role` is one of holder, guardian, venue, laboratory, supervisor, operator. A holder's `document` (type and number) says
who it is, and a guardian's `dependants` are documents besides; they become person keys at once. Venues and laboratories
have a `region`, and they, supervisors and operators are named by `sub`, which is no document's number.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hutong.common.v1.subject_pb2 import DocumentType

from gateway.identity import refusals
from gateway.identity.issuers import Issuer
from services.common.documents import PersonKeys, may_hide_number
from services.common.errors import InvalidArgument
from services.common.regions import divisions
from services.runtime.tls.identity import principal

MOST_DEPENDANTS = 20
_SUBJECT = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Identity(NamedTuple):
    """A name, as the table of access has it, and the keys of those people whose data is its own, itself first."""

    name: str
    persons: tuple[bytes, ...] = ()


def identity_of(claims: Mapping[str, Any], issuer: Issuer, keys: PersonKeys) -> Identity:
    """Returns whom claims name. Raises UNAUTHENTICATED: TOKEN_ROLE when the issuer may not say so, TOKEN_CLAIMS."""
    role = claims.get("role")
    if not isinstance(role, str):
        raise refusals.wrong_claims()
    if role not in issuer.roles:
        raise refusals.wrong_role()
    if role in ("holder", "guardian"):
        persons = [_person(claims.get("document"), keys)]
        if role == "guardian":
            dependants = claims.get("dependants")
            if not isinstance(dependants, list) or not 1 <= len(dependants) <= MOST_DEPENDANTS:
                raise refusals.wrong_claims()
            persons += [_person(one, keys) for one in dependants]
        return Identity(principal(f"{role}/{persons[0].hex()}"), tuple(persons))
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or subject in (".", ".."):
        raise refusals.wrong_claims()
    # It becomes part of a name, and names stand in logs and trails: an issuer that numbers its staff by their ids.
    if may_hide_number(subject):
        raise refusals.wrong_claims()
    if role in ("supervisor", "operator"):
        return Identity(principal(f"{role}/{subject}"))
    region = claims.get("region")
    if not isinstance(region, str) or region not in divisions():
        raise refusals.wrong_claims()
    if issuer.regions and region not in issuer.regions:
        raise refusals.wrong_role()
    return Identity(principal(f"region/{region}/{role}/{subject}"))


def _person(document: Any, keys: PersonKeys) -> bytes:
    if not isinstance(document, dict) or not isinstance(document.get("number"), str):
        raise refusals.wrong_claims()
    try:
        return keys.of_number(DocumentType.Value(f"DOCUMENT_TYPE_{document.get('type')}"), document["number"])
    except (ValueError, InvalidArgument):
        raise refusals.wrong_claims() from None
