"""Free ports, and ports that are not."""

import random
import socket
from collections.abc import Iterator, Mapping

from cli.mesh.plan import HOST, PORTS

# Below where the kernel takes ports for outgoing connections, so that none is taken between finding and listening.
_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Tells if somebody could listen on this port of loopback now."""
    with socket.socket() as probe:
        # A port whose last connections are still fading away is free for a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def _free() -> Iterator[int]:
    # Another mesh may be looking at the same moment: start anywhere.
    candidates = random.SystemRandom().sample(_RANGE, len(_RANGE))
    return (port for port in candidates if is_free(port))


def free_port() -> int:
    """A free port, to which a server can come back after it was killed: the system gives it to nobody who asks for any
    port, as every client's connection does."""
    return next(_free())


def free_ports() -> dict[str, int]:
    """A free port for everything in a mesh, different at every call."""
    ports = _free()
    return {name: next(ports) for name in PORTS}


def first_taken(ports: Mapping[str, int]) -> tuple[str, int] | None:
    """The first of these ports that is taken, by name, or None."""
    return next(((name, port) for name, port in ports.items() if not is_free(port)), None)
