"""The regions' signers of certificates: pairs of a certificate and its key in a folder that is read again on changes.

`NAME.pem` is the signer's certificate, `NAME.key` its private key. A region is the one that the certificate names
(spiffe://hutong/region/CODE/certificates). To rotate, the next pair is put beside the present one once everybody trusts
its certificate: the signer in force that began last signs.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.certificates.trust import Kind, Signer, signer_of
from services.certificates.trust_folder import LOOK_SECONDS, Stamp, folder_stamp
from services.runtime.tls.identity import region_of

log = logging.getLogger("hutong.certificates")


@dataclass(frozen=True)
class KeyedSigner:
    """A signer of a region with its private key (PEM)."""

    signer: Signer
    key: bytes

    @property
    def begins_at(self) -> datetime:
        """Returns when the signer's certificate comes into force (UTC)."""
        return self.signer.certificate.not_valid_before_utc

    @property
    def ends_at(self) -> datetime:
        """Returns when the signer's certificate ends (UTC)."""
        return self.signer.certificate.not_valid_after_utc


Signers = Mapping[str, Sequence[KeyedSigner]]


class SignerFolder:
    """The signers of a folder, by region."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the folder. Raises ValueError that names a file that will not do, also where there is no signer in it,
        and OSError."""
        self._folder = folder
        self._monotonic = monotonic
        self._stamp: Stamp = folder_stamp(folder)
        self._signers = read_signers(folder)
        if not self._signers:
            raise ValueError(f"{folder} holds no signer's certificate and key")
        self._looked = monotonic()

    def of(self, region: str, at: datetime) -> KeyedSigner | None:
        """Returns the signer that signs for a region at an instant (aware); None where there is none in force."""
        in_force = [one for one in self._current().get(region, ()) if one.signer.in_force(at)]
        return max(in_force, key=lambda one: one.begins_at, default=None)

    def _current(self) -> Signers:
        now = self._monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            try:
                stamp = folder_stamp(self._folder)
                if stamp != self._stamp:
                    self._signers, self._stamp = read_signers(self._folder), stamp
            except (OSError, ValueError) as error:
                # Half of a pair is there while the other is being written.
                log.warning("the signers of certificates cannot be read again", extra={"error": str(error)})
        return self._signers


def read_signers(folder: Path) -> Signers:
    """Returns the signers of a folder by region. Raises ValueError that names a file that will not do, and OSError."""
    signers: dict[str, list[KeyedSigner]] = {}
    for path in sorted(folder.glob("*.key")):
        certificate = path.with_suffix(".pem")
        try:
            signer = signer_of(certificate.read_bytes())
            key = path.read_bytes()
            if load_pem_private_key(key, None).public_key() != signer.public_key:
                raise ValueError(f"it is not the key of {certificate.name}")
            if Kind.TEST not in signer.kinds:
                raise ValueError(f"{certificate.name} may not sign tests")
            regions = {region_of(name) for name in signer.names} - {""}
            if len(regions) != 1:
                raise ValueError(f"{certificate.name} names no region (spiffe://hutong/region/CODE/certificates)")
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path.name}: {error}") from error
        signers.setdefault(regions.pop(), []).append(KeyedSigner(signer, key))
    return signers
