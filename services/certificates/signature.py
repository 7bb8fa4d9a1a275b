"""The signature: COSE_Sign1 (RFC 9052) by ES256, PS256 or Ed25519. The library `cwt` computes and checks it."""

from typing import Any

import cbor2
from cryptography.hazmat.primitives import serialization
from cwt import COSE, COSEKey, VerifyError
from cwt.cose_key_interface import COSEKeyInterface

from services.certificates.cbor import CborMalformed, read_cbor
from services.certificates.keys import KeyRing, KeyT, VerifyingKey, algorithm
from services.certificates.refusals import CertificateRefused, Reason

COSE_SIGN1, CWT = 18, 61  # CBOR tags
ALGORITHM, KEY_ID = 1, 4  # COSE header parameters


def verified_payload(signed: bytes, keys: KeyRing[KeyT]) -> tuple[bytes, KeyT]:
    """Returns what was signed, and who signed it. Raises CertificateRefused.

    The key identifier is the protected header's; the unprotected header's where that has none (hcert-spec 3.3.2).
    """
    message = _message(signed)
    protected = _header(message[0])
    unprotected = message[1] if isinstance(message[1], dict) else {}
    key_id = protected.get(KEY_ID, unprotected.get(KEY_ID))
    claimed = protected.get(ALGORITHM, unprotected.get(ALGORITHM))
    signers = keys.named(key_id) if isinstance(key_id, bytes) else []
    if not signers:
        name = key_id.hex() if isinstance(key_id, bytes) else "not named"
        raise CertificateRefused(Reason.SIGNER_UNKNOWN, f"key {name}")
    for signer in signers:
        key = _verifying_key(signer)
        if key.alg != claimed:
            continue
        try:
            _, _, payload = COSE.new(verify_kid=True).decode_with_headers(cbor2.CBORTag(COSE_SIGN1, message), key)
        except (VerifyError, ValueError):
            continue
        return payload, signer
    raise CertificateRefused(Reason.SIGNATURE_WRONG)


def signed_bytes(payload: bytes, key: bytes, signer: VerifyingKey) -> bytes:
    """Returns the payload, signed with a private key (PEM, not encrypted) that belongs to the signer's.

    Raises ValueError where the two do not belong together.
    """
    if serialization.load_pem_private_key(key, None).public_key() != signer.public_key:
        raise ValueError("the key is not that of the signer's certificate")
    signing_key = COSEKey.from_pem(key, kid=signer.key_id, alg=algorithm(signer.public_key))
    encoded: bytes = COSE.new().encode(
        payload, signing_key, protected={ALGORITHM: signing_key.alg, KEY_ID: signer.key_id}, unprotected={}
    )
    return encoded


def _verifying_key(signer: VerifyingKey) -> COSEKeyInterface:
    pem = signer.public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return COSEKey.from_pem(pem, kid=signer.key_id, alg=algorithm(signer.public_key))


def _message(signed: bytes) -> list[Any]:
    try:
        decoded = read_cbor(signed)
        while isinstance(decoded, cbor2.CBORTag) and decoded.tag in {CWT, COSE_SIGN1}:
            decoded = decoded.value
    except CborMalformed as error:
        raise CertificateRefused(Reason.CBOR_MALFORMED, str(error)) from None
    if not isinstance(decoded, list) or len(decoded) != 4 or not all(isinstance(decoded[i], bytes) for i in (0, 2, 3)):
        raise CertificateRefused(Reason.CBOR_MALFORMED, "not a COSE_Sign1 message")
    return decoded


def _header(encoded: bytes) -> dict[Any, Any]:
    try:
        header = read_cbor(encoded) if encoded else {}
    except CborMalformed as error:
        raise CertificateRefused(Reason.CBOR_MALFORMED, str(error)) from None
    if not isinstance(header, dict):
        raise CertificateRefused(Reason.CBOR_MALFORMED, "the protected header is not a map")
    return header
