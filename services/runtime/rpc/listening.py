"""A socket that listens on an address, and on no other process's."""

import socket

_EVERYWHERE = "[::]"


class CannotListenError(OSError):
    """An address cannot be had; `variable` is the setting that names it."""

    def __init__(self, message: str, variable: str) -> None:
        super().__init__(message)
        self.variable = variable


def listening_socket(address: str, name: str, variable: str, *, waiting: int = 2048) -> socket.socket:
    """Returns a socket that listens on `host:port` (port 0 takes a free one) with room for so many `waiting`
    connections. `[::]` is every address of the machine, of IPv4 too, also where it has no IPv6. `name` says in the
    error whose it is. Raises CannotListenError."""
    host, _, port = address.rpartition(":")
    if host == _EVERYWHERE and not _has_ipv6():
        host = "0.0.0.0"  # whoever says [::] means it
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CannotListenError(f"{name}: cannot listen on {address}: {error.strerror}", variable) from None
    listener = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != _EVERYWHERE))
        # Restarts do not wait for old connections. SO_REUSEPORT stays off: two servers on one port would share its
        # connections silently.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(waiting)
    except OSError as error:
        listener.close()
        reason = f"{name}: cannot listen on {address}: {error.strerror}; is the port taken?"
        raise CannotListenError(reason, variable) from None
    listener.setblocking(False)
    return listener


def _has_ipv6() -> bool:
    """Returns whether the kernel knows IPv6: it may be switched off where Python has it."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True
