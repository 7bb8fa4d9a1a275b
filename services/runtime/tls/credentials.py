"""Makes gRPC's credentials from a process's files: a server's, which asks clients for certificates, and a client's."""

import threading
from collections.abc import Callable
from typing import cast

import grpc

from services.runtime.tls.files import Material, TlsFiles
from services.runtime.tls.identity import Principal, dns_name


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Returns the credentials of a server: mutual TLS, with what the files hold at each handshake."""
    lock = threading.Lock()
    served: list[Material] = [files.current()]

    def configuration(material: Material) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(material.key, material.chain)], material.trust.roots)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        with lock:
            material = files.current()
            if material is served[0]:
                return None
            served[0] = material
            return configuration(material)

    # None says that nothing has changed; grpc's type stubs do not know.
    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed)
    return grpc.dynamic_ssl_server_credentials(configuration(served[0]), fetch, require_client_authentication=True)


def channel_credentials(material: Material, peer: Principal) -> tuple[grpc.ChannelCredentials, tuple[str, str]]:
    """Returns the credentials of a client that calls a peer of this name and no other, and the channel option that has
    the peer's certificate checked for it."""
    credentials = grpc.ssl_channel_credentials(material.trust.roots_for(peer), material.key, material.chain)
    return credentials, ("grpc.ssl_target_name_override", dns_name(peer))
