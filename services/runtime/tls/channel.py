"""Channels to one peer, with mutual TLS under the certificate of the moment."""

from collections.abc import Sequence

import grpc

from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import Material, TlsFiles
from services.runtime.tls.identity import Principal


class CertifiedChannels:
    """Opens channels to a peer that must prove its name, under this process's certificate."""

    def __init__(self, files: TlsFiles, peer: Principal) -> None:
        self._files = files
        self._peer = peer

    def version(self) -> Material:
        """Returns the material in force, another object after a renewal."""
        return self._files.current()

    def open(self, target: str, options: Sequence[tuple[str, int | str]]) -> grpc.aio.Channel:
        """Returns a channel to a gRPC name."""
        credentials, override = channel_credentials(self._files.current(), self._peer)
        return grpc.aio.secure_channel(target, credentials, options=[*options, override])
