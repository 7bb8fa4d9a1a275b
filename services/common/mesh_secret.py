"""The mesh's secret in versions: what person keys are made under, and how a key of one version becomes one of another.

A key is its version and, sealed under the secret of that version, a digest of the document under the root. Who has both
secrets opens a key and seals it again, without the document (docs/decisions, "A secret has versions").
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

LEAST_SECRET = 16
"""Bytes of a secret."""
SEALED_BYTES = 15
"""Bytes of a key after its version."""
MOST_VERSION = 255

_LEFT, _RIGHT = 8, 7
_CUT_LEFT, _CUT_RIGHT = 128 - 8 * _LEFT, 128 - 8 * _RIGHT
"""Bits of a block of AES that are left out of a half."""
_ROUNDS = tuple((b"right %d " % number, b"left %d  " % number) for number in range(3))
"""What makes the rounds differ, two by two: the second half of each block."""
_LINE = re.compile(r"(root|current|\d{1,3}):[ \t]*(\S.*)")
_LEAST_CHARACTERS = 6
"""16 random bytes in hexadecimal never have fewer different digits; what somebody has typed has fewer."""
_LONGEST_WORD = 16
_PLACEHOLDER = re.compile(r"replace|change[-_ ]?me|placeholder|your[-_ ]secret|<.*>", re.IGNORECASE)


class MeshSecretError(ValueError):
    """A secret will not do; the message never holds any of it."""


class Seal:
    """Seals digests under one version's secret, and opens them: a permutation of 15 bytes (a Feistel network of six
    rounds over AES). An object is used by one thread at a time."""

    def __init__(self, secret: bytes) -> None:
        key = hmac.digest(secret, b"hutong person key, seal", "sha256")
        # One block at a time of what never repeats within a round: ECB is AES itself.
        self._block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update

    def seal(self, digest: bytes) -> bytes:
        """Returns a digest sealed."""
        block, whole = self._block, int.from_bytes
        left, right = whole(digest[:_LEFT]), whole(digest[_LEFT:])
        for to_right, to_left in _ROUNDS:
            right ^= whole(block(left.to_bytes(8) + to_right)) >> _CUT_RIGHT
            left ^= whole(block(right.to_bytes(8) + to_left)) >> _CUT_LEFT
        return left.to_bytes(_LEFT) + right.to_bytes(_RIGHT)

    def open(self, sealed: bytes) -> bytes:
        """Returns the digest that was sealed."""
        block, whole = self._block, int.from_bytes
        left, right = whole(sealed[:_LEFT]), whole(sealed[_LEFT:])
        for to_right, to_left in reversed(_ROUNDS):
            left ^= whole(block(right.to_bytes(8) + to_left)) >> _CUT_LEFT
            right ^= whole(block(left.to_bytes(8) + to_right)) >> _CUT_RIGHT
        return left.to_bytes(_LEFT) + right.to_bytes(_RIGHT)


@dataclass(frozen=True, slots=True)
class MeshSecret:
    """A mesh's secret: the root, the secret of each version that is understood, and the version that keys are made
    under."""

    root: bytes
    versions: Mapping[int, bytes]
    current: int

    def with_current(self, version: int) -> "MeshSecret":
        """Returns the same secret with keys made under another version. Raises MeshSecretError for one it lacks."""
        if version not in self.versions:
            raise MeshSecretError(f"there is no version {version}; there are {sorted(self.versions)}")
        return MeshSecret(self.root, self.versions, version)

    def fingerprint(self, version: int = 0) -> bytes:
        """Returns what names a version, the current one by default, without telling it."""
        return secret_fingerprint(self.versions[version or self.current])

    @property
    def fingerprints(self) -> frozenset[bytes]:
        """The fingerprints of every version that is understood."""
        return frozenset(map(self.fingerprint, self.versions))


FINGERPRINT_BYTES = 8


def secret_fingerprint(secret: bytes) -> bytes:
    """Returns what names the secret of one version without telling it: FINGERPRINT_BYTES of HMAC-SHA-256 under it."""
    return hmac.digest(secret, b"hutong mesh secret, fingerprint 2", "sha256")[:FINGERPRINT_BYTES]


def parse_mesh_secret(text: str) -> MeshSecret:
    """Returns the secret that a text gives: one line is the root and version 1 at once; otherwise each line is
    `root: …`, `NUMBER: …` for a version, or `current: NUMBER`. Raises MeshSecretError, also for a placeholder."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) == 1 and not _LINE.fullmatch(lines[0]):
        secret = _checked(lines[0], "the mesh's secret")
        return MeshSecret(secret, {1: secret}, 1)
    given: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise MeshSecretError(f"line {number} of the mesh's secret is none of root, current, or a version's number")
        if match[1] in given:
            raise MeshSecretError(f"the mesh's secret has two lines for {match[1]}")
        given[match[1]] = match[2]
    missing = [name for name in ("root", "current") if name not in given]
    if missing:
        raise MeshSecretError(f"the mesh's secret has no line for {' and '.join(missing)}")
    root = _checked(given.pop("root"), "the root of the mesh's secret")
    current = given.pop("current")
    versions = {int(name): _checked(value, f"version {name} of the mesh's secret") for name, value in given.items()}
    if not all(1 <= version <= MOST_VERSION for version in versions):
        raise MeshSecretError(f"versions of the mesh's secret are numbers from 1 to {MOST_VERSION}")
    if len(set(versions.values())) != len(versions):
        raise MeshSecretError("two versions of the mesh's secret are the same")
    if not current.isdecimal():
        raise MeshSecretError("current names a version's number")
    return MeshSecret(root, versions, 0).with_current(int(current))


def mesh_secret_text(secret: MeshSecret) -> str:
    """Returns the text that parse_mesh_secret reads."""
    versions = "".join(f"{number}: {value.decode()}\n" for number, value in sorted(secret.versions.items()))
    return f"root: {secret.root.decode()}\n{versions}current: {secret.current}\n"


def _repeats_itself(secret: str) -> bool:
    """Tells if a secret is one short word again and again."""
    return any(secret[length:] == secret[:-length] for length in range(1, min(_LONGEST_WORD, len(secret) // 2) + 1))


def _checked(secret: str, what: str) -> bytes:
    if len(secret.encode()) < LEAST_SECRET:
        raise MeshSecretError(f"{what} needs at least {LEAST_SECRET} bytes")
    if _PLACEHOLDER.search(secret) or len(set(secret)) < _LEAST_CHARACTERS or _repeats_itself(secret):
        raise MeshSecretError(f"{what} is a placeholder: make one of your own")
    return secret.encode()
