"""The settings of a process about certificates, checked before it opens or serves anything."""

from pathlib import Path

from services.runtime.settings.environment import ServerSettings, SettingsError
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal
from services.runtime.tls.trust import TlsError

_LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


def is_loopback(address: str) -> bool:
    """Tells whether only this machine reaches an address, host:port."""
    return address.startswith(_LOOPBACK)


def process_files(settings: ServerSettings, name: Principal) -> TlsFiles | None:
    """Returns the certificate files of the process that is to be `name`; None for a mesh without certificates.

    Raises SettingsError when only some of the three settings are given, when the files will not do or name another
    process, and for an address that is not loopback without certificates, unless HUTONG_PLAINTEXT says so.
    """
    given = (settings.tls_certificate, settings.tls_key, settings.tls_trust)
    if not any(given):
        if not is_loopback(settings.listen) and not settings.plaintext:
            raise SettingsError(
                f"HUTONG_LISTEN: {settings.listen} 不是本机地址，须有证书 / is not loopback and needs certificates"
                " (HUTONG_TLS_CERTIFICATE, HUTONG_TLS_KEY, HUTONG_TLS_TRUST), or HUTONG_PLAINTEXT=true"
            )
        return None
    if not all(given):
        raise SettingsError(
            "HUTONG_TLS_CERTIFICATE, HUTONG_TLS_KEY, HUTONG_TLS_TRUST: 须同时设置 / are given together or not at all"
        )
    try:
        files = TlsFiles(*map(Path, given))
    except TlsError as error:
        raise SettingsError(f"HUTONG_TLS_CERTIFICATE: {error}") from None
    proven = files.current().principal
    if proven != name:
        raise SettingsError(
            f"HUTONG_TLS_CERTIFICATE: 证书属于 / the certificate is that of {proven}, and this is {name}"
        )
    return files
