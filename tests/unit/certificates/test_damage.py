"""A certificate that is damaged, at whichever layer, is refused with a reason, in little memory."""

import json
import tracemalloc
import zlib
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import base45
import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certificates.cbor import TAGS
from services.certificates.envelope import unwrapped
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.signature import signed_bytes
from services.certificates.trust import Trust, signer_of
from services.certificates.verification import verify
from tests.testkit.certificates import (
    KEY,
    NOW,
    SIGNER,
    VECTORS,
    around,
    certificate,
    claims,
    clock,
    pem,
    refusal,
)

ODD: tuple[Any, ...] = (
    0,
    -1,
    2**64 - 1,
    "x",
    "(a+)+$",
    b"x",
    [10**18, 1],
    [1, 0],
    [10**9, 10**9],
    [b"x", b"y"],
    None,
    1.5,
    {},
    [3, [1]],
)
MOST_MEMORY = 4_000_000


def head_of_tag(tag: int) -> bytes:
    """Returns the bytes before what a tag is of."""
    return cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]


@pytest.mark.parametrize("tag", [*range(40), 61, 258, 260, 261, 1004, 43_000, 55_799])
def test_no_tag_breaks_the_reader(tag):
    """Fractions by zero, exponents past all numbers, regular expressions, references: refused, signed or not."""
    for value in ODD:
        tagged = head_of_tag(tag) + cbor2.dumps(value)
        ends = cbor2.dumps({1: "CN", 4: 2_000_000_000, 6: 1_000_000_000, -260: {1: 0}})[:-1] + tagged
        signed = [around(signed_bytes(content, pem(KEY), SIGNER)) for content in (tagged, ends)]
        within = [around(before + tagged + after) for before, after in ((b"", b""), (b"\x84", b"\xa0\x40\x40"))]
        for text in (*signed, *within, around(b"\x84\x40" + tagged + b"\x40\x40")):
            with pytest.raises(CertificateRefused) as refused:
                verify(text, Trust([SIGNER]), NOW)
            if tag not in TAGS:
                assert refused.value.reason in {Reason.CBOR_MALFORMED, Reason.CLAIMS_MALFORMED, Reason.SIGNER_UNKNOWN}


HUGE = {
    "an array without end": b"\x9f" * 9_000,
    "a longer array than there are bytes": b"\x9b\x00\x00\x7f\xff\xff\xff\xff\xff",
    "a larger map than there are bytes": b"\xba\x7f\xff\xff\xff",
    "longer bytes than there are": b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff",
    "a longer text than there is": b"\x7a\x3f\xff\xff\xff",
    "arrays within arrays": b"\x81" * 16_000,
    "maps within maps": b"\xa1" * 16_000,
    "tags of tags": b"\xc1" * 16_000,
    "a circle of references": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a large number": b"\xc2\x59\x3f\x00" + bytes(range(1, 127)) * 128,
    "nothing but noughts": bytes(16_384),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_pretends_to_be_large_costs_little(case):
    """In memory and in depth; a length is believed when the bytes are there."""
    text = around(HUGE[case])
    tracemalloc.start()
    try:
        assert Reason.CBOR_MALFORMED == refusal(text)
        assert MOST_MEMORY > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_is_cut_at_its_bound():
    """Ten megabytes within a few hundred letters of a QR code are never unpacked."""
    bomb = zlib.compress(zlib.compress(bytes(10_000_000), 9), 9)
    for packed in (bomb, zlib.compress(bytes(2_000_000), 9)):
        text = "HC1:" + base45.b45encode(packed).decode()
        tracemalloc.start()
        try:
            with pytest.raises(CertificateRefused):
                verify(text, Trust([SIGNER]), NOW)
            assert MOST_MEMORY > tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_an_instant_that_there_is_not_is_no_instant():
    """The 30th of February has the form of a date."""
    for instant in ("2022-02-30T10:00:00Z", "2022-08-04T25:00:00Z", "2022-08-04T10:00:00+99:00"):
        content = claims()
        content[-260][1]["t"][0]["sc"] = instant
        text = around(signed_bytes(cbor2.dumps(content), pem(KEY), SIGNER))
        assert Reason.SCHEMA_VIOLATED == refusal(text)


TEXT = certificate()
CHANGE = st.tuples(st.integers(0, 5_000), st.integers(0, 255), st.sampled_from(("set", "cut", "add", "twice")))


def changed(data: bytes, at: int, byte: int, what: str) -> bytes:
    """Returns bytes with one changed, some cut off, one more, or a piece of them twice."""
    at %= len(data) + 1
    pieces = {
        "set": data[:at] + bytes([byte]) + data[at + 1 :],
        "cut": data[:at],
        "add": data[:at] + bytes([byte]) + data[at:],
        "twice": data[:at] + data[at // 2 : at] + data[at:],
    }
    return pieces[what]


def believed_or_refused(text: str, by: Trust, at) -> bool:
    """Tells whether a text is believed; anything but a refusal is an error of the test."""
    try:
        verify(text, by, at)
    except CertificateRefused:
        return False
    return True


@settings(max_examples=150)
@given(st.lists(CHANGE, min_size=1, max_size=3), st.sampled_from(("text", "packed", "signed", "payload")))
def test_a_mutation_at_any_layer_is_refused(changes, layer):
    """Nothing that was changed is believed, unless what is signed came out the same."""
    signed = unwrapped(TEXT)
    message = cbor2.loads(signed)
    layers = {"text": TEXT.encode(), "packed": zlib.compress(signed), "signed": signed, "payload": message.value[2]}
    data = layers[layer]
    for change in changes:
        data = changed(data, *change)
    if layer == "text":
        text = data.decode("latin-1")
    elif layer == "packed":
        text = "HC1:" + base45.b45encode(data).decode()
    elif layer == "signed":
        text = around(data)
    else:
        text = around(cbor2.dumps(cbor2.CBORTag(18, [*message.value[:2], data, message.value[3]])))
    if believed_or_refused(text, Trust([SIGNER]), NOW):
        kept = cbor2.loads(unwrapped(text))
        kept = kept.value if isinstance(kept, cbor2.CBORTag) else kept
        assert (message.value[0], message.value[2], message.value[3]) == (kept[0], kept[2], kept[3])


@settings(max_examples=100)
@given(st.lists(CHANGE, min_size=1, max_size=3))
def test_whatever_a_trusted_signer_signs_is_read_or_refused(changes):
    """A payload of any bytes under a signature that is right."""
    payload = cbor2.loads(unwrapped(TEXT)).value[2]
    for change in changes:
        payload = changed(payload, *change)
    believed_or_refused(around(signed_bytes(payload, pem(KEY), SIGNER)), Trust([SIGNER]), NOW + timedelta(hours=1))


@pytest.mark.skipif(not VECTORS, reason="the published vectors are not on this machine")
@settings(max_examples=100)
@given(st.sampled_from(VECTORS or [Path()]), st.lists(CHANGE, min_size=1, max_size=2))
def test_a_mutation_of_a_published_vector_is_refused_with_a_reason(path, changes):
    """Other countries' encodings, changed in their signed bytes."""
    vector = json.loads(path.read_text(encoding="utf-8"))
    context = vector["TESTCTX"]
    try:
        data = unwrapped(vector["PREFIX"])
    except CertificateRefused:
        return
    for change in changes:
        data = changed(data, *change)
    believed_or_refused(around(data), Trust([signer_of(context["CERTIFICATE"])]), clock(context["VALIDATIONCLOCK"]))


def test_every_single_byte_matters():
    """Of the text itself: each letter changed for each of three others is never believed."""
    for at, letter in product(range(0, len(TEXT), 7), "0A:"):
        if TEXT[at] != letter:
            assert not believed_or_refused(TEXT[:at] + letter + TEXT[at + 1 :], Trust([SIGNER]), NOW)
