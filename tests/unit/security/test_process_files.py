"""A process does not start unless what it is told about certificates is right."""

import pytest

from cli.certificates.authority import utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from services.runtime.settings.environment import ServerSettings, SettingsError
from services.runtime.tls.identity import principal
from services.runtime.tls.process import process_files

LOOKUP, VERDICT = principal("mesh/lookup"), principal("mesh/verdict")


@pytest.fixture
def given(tmp_path):
    """The settings of lookup's certificate."""
    write_certificates(tmp_path, [LOOKUP, VERDICT], now=utc_now())
    own = certificate_folder(tmp_path, LOOKUP)
    return {
        "tls_certificate": str(own / "tls.crt"),
        "tls_key": str(own / "tls.key"),
        "tls_trust": str(tmp_path / TRUST),
    }


def test_a_process_proves_its_own_name(given):
    """Another service's certificate is a mistake that would be noticed by others, and late."""
    files = process_files(ServerSettings(listen="0.0.0.0:7000", **given), LOOKUP)
    assert files is not None
    assert LOOKUP == files.current().principal
    with pytest.raises(SettingsError, match="this is spiffe://hutong/mesh/verdict"):
        process_files(ServerSettings(**given), VERDICT)


@pytest.mark.parametrize("left_out", ["tls_certificate", "tls_key", "tls_trust"])
def test_half_of_it_is_refused(given, left_out):
    """Nobody believes to have certificates who has none."""
    with pytest.raises(SettingsError, match="HUTONG_TLS_CERTIFICATE, HUTONG_TLS_KEY, HUTONG_TLS_TRUST"):
        process_files(ServerSettings(**given | {left_out: ""}), LOOKUP)


@pytest.mark.parametrize("address", ["0.0.0.0:7000", "[::]:7000", "10.0.0.1:7000"])
def test_an_open_address_needs_certificates(address):
    """Or the word that the network is closed by other means."""
    with pytest.raises(SettingsError, match="HUTONG_PLAINTEXT"):
        process_files(ServerSettings(listen=address), LOOKUP)
    assert process_files(ServerSettings(listen=address, plaintext=True), LOOKUP) is None


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.3:7000", "localhost:7000", "[::1]:7000"])
def test_loopback_needs_none(address):
    """The embedded mesh."""
    assert process_files(ServerSettings(listen=address), LOOKUP) is None
