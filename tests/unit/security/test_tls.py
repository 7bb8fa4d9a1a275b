"""Mutual TLS: who is who, who vouches for whom, and certificates that change under calls."""

import os
import time
from datetime import timedelta
from typing import Any

import grpc
import pytest

from cli.certificates.authority import make_authority, utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from services.common.instants import Instant
from services.runtime.tls import files as files_module
from services.runtime.tls.credentials import channel_credentials, server_credentials
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import WrongPrincipalError, dns_name, parse, principal, region_of
from services.runtime.tls.trust import TlsError, UntrustedError

GATEWAY = principal("mesh/gateway")
HUNAN = principal("region/430000/records")
BEIJING = principal("region/110000/records")


@pytest.fixture
def folder(tmp_path):
    """Certificates of a gateway and of two regions with authorities of their own."""
    write_certificates(tmp_path, [GATEWAY, HUNAN, BEIJING], now=utc_now())
    return tmp_path


def opened(folder, name):
    """Opens the files of a name."""
    own = certificate_folder(folder, name)
    return TlsFiles(own / "tls.crt", own / "tls.key", folder / TRUST)


WHO: Any = "/x.X/Who"
"""Its request and its answer are bytes, which grpc's type stubs have no word for."""


def ask(channel) -> Any:
    """Returns the method by which a server tells who calls."""
    return channel.unary_unary(WHO)


async def called(address, material, peer):
    """Returns what a server answers, or why it cannot be called."""
    credentials, override = channel_credentials(material, peer)
    async with grpc.aio.secure_channel(address, credentials, options=[override]) as channel:
        try:
            return await ask(channel)(b"", timeout=3)
        except grpc.aio.AioRpcError as error:
            return error.code()


async def serve(files):
    """A server that answers with the proven name of who calls, or with why nobody vouches."""

    async def who(request, context):
        context_of = context.auth_context()
        at = Instant(time.time_ns() // 1000)
        chain = b"".join(context_of.get("x509_pem_cert_chain", []))
        try:
            return files.current().trust.principal_of(context_of["x509_pem_cert"][0], chain, at)[0].encode()
        except UntrustedError as error:
            return f"untrusted: {error}".encode()

    server = grpc.aio.server()
    handlers: Any = {"Who": grpc.unary_unary_rpc_method_handler(who)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("x.X", handlers),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files))
    await server.start()
    return server, f"127.0.0.1:{port}"


async def test_each_proves_its_name_to_the_other(folder):
    """The server learns who calls; a client that expects another server does not speak to it."""
    server, address = await serve(opened(folder, HUNAN))
    gateway = opened(folder, GATEWAY).current()
    assert GATEWAY.encode() == await called(address, gateway, HUNAN)
    assert grpc.StatusCode.UNAVAILABLE == await called(address, gateway, BEIJING)
    await server.stop(0)


async def test_an_authority_vouches_for_its_own_region_alone(folder):
    """A region's authority that issues another region's name, or the gateway's, is believed by nobody."""
    hunan = make_authority("hutong region-430000", utc_now())
    (folder / TRUST / "region-430000.pem").write_bytes(hunan.pem)
    server, address = await serve(opened(folder, BEIJING))
    for name in (BEIJING, GATEWAY, principal("region/120000/records")):
        forged = folder / "forged"
        hunan.issue(name, forged, days=1, now=utc_now())
        material = TlsFiles(forged / "tls.crt", forged / "tls.key", folder / TRUST).current()
        assert b"untrusted" in await called(address, material, BEIJING), name
    hunan.issue(HUNAN, forged, days=1, now=utc_now())
    material = TlsFiles(forged / "tls.crt", forged / "tls.key", folder / TRUST).current()
    assert HUNAN.encode() == await called(address, material, BEIJING)
    await server.stop(0)


async def test_who_has_no_certificate_is_not_served(folder):
    """Nor one whose certificate has ended, or that nobody issued."""
    server, address = await serve(opened(folder, HUNAN))
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(channel)(b"", timeout=3)
    roots = grpc.ssl_channel_credentials((folder / TRUST / "region-430000.pem").read_bytes())
    options = [("grpc.ssl_target_name_override", dns_name(HUNAN))]
    async with grpc.aio.secure_channel(address, roots, options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(channel)(b"", timeout=3)
    write_certificates(folder, [GATEWAY], now=utc_now() - timedelta(days=40), days=30)
    assert grpc.StatusCode.UNAVAILABLE == await called(address, opened(folder, GATEWAY).current(), HUNAN)
    await server.stop(0)


async def test_a_certificate_is_renewed_under_the_server(folder, monkeypatch):
    """The next handshake has the new one; a half-written pair leaves the last good one in force."""
    monkeypatch.setattr(files_module, "LOOK_SECONDS", 0.0)
    files = opened(folder, HUNAN)
    server, address = await serve(files)
    gateway = opened(folder, GATEWAY).current()
    before = files.current()
    write_certificates(folder, [HUNAN], now=utc_now(), days=5)
    assert GATEWAY.encode() == await called(address, gateway, HUNAN)
    after = files.current()
    assert before.chain != after.chain
    key = certificate_folder(folder, HUNAN) / "tls.key"
    key.write_bytes(before.key)
    os.utime(key, ns=(1, 1))
    assert after.chain == files.current().chain
    assert GATEWAY.encode() == await called(address, gateway, HUNAN)
    await server.stop(0)


def test_files_that_will_not_do_say_which(folder):
    """A missing file, another's key, a stray file among the authorities."""
    hunan, gateway = certificate_folder(folder, HUNAN), certificate_folder(folder, GATEWAY)
    with pytest.raises(TlsError, match="is not the key of"):
        TlsFiles(hunan / "tls.crt", gateway / "tls.key", folder / TRUST)
    with pytest.raises(TlsError, match=r"nothing\.crt"):
        TlsFiles(folder / "nothing.crt", gateway / "tls.key", folder / TRUST)
    (folder / TRUST / "notes.txt").write_text("")
    with pytest.raises(TlsError, match=r"notes\.txt"):
        TlsFiles(hunan / "tls.crt", hunan / "tls.key", folder / TRUST)


@pytest.mark.parametrize(
    "uri",
    [
        "https://hutong/mesh/gateway",
        "spiffe://other/mesh/gateway",
        "spiffe://hutong",
        "spiffe://hutong/",
        "spiffe://hutong/mesh//gateway",
        "spiffe://hutong/mesh/../gateway",
        "spiffe://hutong/mesh/gate way",
        "spiffe://hutong/" + "a" * 2048,
    ],
)
def test_a_name_that_is_none_is_refused(uri):
    """SPIFFE-ID 1.0."""
    with pytest.raises(WrongPrincipalError):
        parse(uri)


def test_a_name_tells_its_region_and_its_dns_name():
    """A service of the mesh speaks for no region."""
    assert ("430000", "records.430000.region.hutong") == (region_of(HUNAN), dns_name(HUNAN))
    assert ("", "gateway.mesh.hutong") == (region_of(GATEWAY), dns_name(GATEWAY))


def test_keys_are_their_owners_alone(folder):
    """Mode 0600."""
    keys = [*folder.glob("*/tls.key"), *folder.glob("authorities/*/ca.key")]
    assert {0o600} == {path.stat().st_mode & 0o777 for path in keys}
    assert 6 == len(keys)
