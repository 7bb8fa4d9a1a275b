"""Certificates that were revoked, by their identifiers: a file that an issuer publishes, a line for each.

A line is an identifier (UVCI), or the first 16 bytes of its SHA-256 in hexadecimal, which tells nobody whose
certificate it is (eHealth Network, EU DCC revocation, type UCI). Empty lines and those that begin with `#` are left
alone.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

HASH_BYTES = 16
FILE = "revoked.txt"
_HASH = re.compile(rf"[0-9a-fA-F]{{{2 * HASH_BYTES}}}")


class Revocations:
    """The certificates that were revoked."""

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self._hashes = frozenset(hashes)

    def __len__(self) -> int:
        return len(self._hashes)

    def hold(self, identifier: str) -> bool:
        """Tells whether the certificate with an identifier was revoked."""
        return bool(self._hashes) and identifier_hash(identifier) in self._hashes


def identifier_hash(identifier: str) -> bytes:
    """Returns the hash by which lists of revoked certificates name one."""
    return sha256(identifier.encode()).digest()[:HASH_BYTES]


def read_revocations(text: str) -> Revocations:
    """Returns the certificates that the lines of a file name. Raises ValueError with the number of a line that names
    none."""
    hashes = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if _HASH.fullmatch(entry):
            hashes.append(bytes.fromhex(entry))
        elif entry.upper().startswith("URN:UVCI:"):
            hashes.append(identifier_hash(entry))
        else:
            raise ValueError(f"line {number} is neither an identifier (URN:UVCI:…) nor a hash of {HASH_BYTES} bytes")
    return Revocations(hashes)
