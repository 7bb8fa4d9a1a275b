"""The identity of callers, as the gateway's settings have it."""

import logging
from dataclasses import dataclass
from pathlib import Path

from gateway.identity import development
from gateway.identity.callers import Callers
from gateway.identity.development import DevelopmentIssuer
from gateway.identity.issuers import read_issuers
from gateway.identity.key_sets import source_of
from gateway.identity.tokens import Tokens, Trusted
from gateway.settings import GatewaySettings
from services.common.documents import PersonKeys
from services.runtime.settings.environment import SettingsError
from services.runtime.tls.process import is_loopback

log = logging.getLogger("hutong.identity")


@dataclass(frozen=True, slots=True)
class Identities:
    """The means to know callers, the keys to keep up to date, and the development issuer where there is one."""

    callers: Callers
    tokens: Tokens
    development: DevelopmentIssuer | None
    anonymous: bool
    """True where calls without a token are the development principal's."""


def open_identities(settings: GatewaySettings, keys: PersonKeys, *, certificates: bool) -> Identities:
    """Returns who the gateway believes callers to be. Raises SettingsError for issuers that will not do, and for a
    development issuer that is not on loopback alone or stands beside others."""
    if settings.development:
        return _development(settings, keys, certificates)
    if not settings.issuers:
        log.warning("no issuer of tokens is trusted: people and venues are refused")
        return _identities({}, keys, None, anonymous=False)
    try:
        issuers = read_issuers(Path(settings.issuers))
    except ValueError as error:
        raise SettingsError(f"HUTONG_ISSUERS: {error}") from None
    trusted = {name: Trusted(issuer, source_of(name, issuer.keys)) for name, issuer in issuers.items()}
    return _identities(trusted, keys, None, anonymous=False)


def _development(settings: GatewaySettings, keys: PersonKeys, certificates: bool) -> Identities:
    if settings.issuers or not (is_loopback(settings.http_listen) and is_loopback(settings.listen)):
        raise SettingsError(
            "HUTONG_DEVELOPMENT: 只可用于本机地址，且不得另有签发方 / is for loopback alone, and without HUTONG_ISSUERS"
        )
    try:
        issuer = DevelopmentIssuer(Path(settings.development))
    except (OSError, ValueError) as error:
        raise SettingsError(f"HUTONG_DEVELOPMENT: {error}") from None
    if certificates:
        log.info("tokens are issued to whoever asks on this machine: for development alone")
    else:
        log.info("calls without a token are served as spiffe://hutong/development/http: for development alone")
    trusted = {development.NAME: issuer.trusted()}
    return _identities(trusted, keys, issuer, anonymous=not certificates)


def _identities(
    issuers: dict[str, Trusted], keys: PersonKeys, issuer: DevelopmentIssuer | None, *, anonymous: bool
) -> Identities:
    tokens = Tokens(issuers, keys)
    return Identities(Callers(tokens, development=anonymous), tokens, issuer, anonymous)
