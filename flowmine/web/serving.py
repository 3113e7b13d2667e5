"""The server of one page for one person: bound to this machine unless told otherwise, ended by Ctrl-C."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from flowmine.errors import UsageError
from flowmine.web.guard import Door

__all__ = ["Place", "address_of", "bound", "door_of", "serve", "server_of"]

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_PATIENCE = 2
"""Seconds that answers on their way are given at the end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen; ``beyond`` allows addresses that others can reach."""

    address: str = "127.0.0.1"
    port: int = 0
    beyond: bool = False

    def is_loopback(self) -> bool:
        """Tell whether only this machine reaches it. Raise UsageError where it is no address."""
        if self.address.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError as error:
            raise UsageError(
                f"--listen {self.address}: write an address, such as 127.0.0.1 or ::1"
            ) from error


def bound(place: Place) -> socket.socket:
    """Return a socket that listens there. Raise UsageError where that is not allowed, or not possible."""
    if not place.is_loopback() and not place.beyond:
        raise UsageError(
            f"--listen {place.address}: others could reach it there, unencrypted; give --beyond-this-machine too if that "
            "is meant, or forward a port: ssh -L"
        )
    address = "127.0.0.1" if place.address.lower() == "localhost" else place.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, place.port))
        made.listen(64)
    except OSError as error:
        made.close()
        raise UsageError(
            f"{place.address} port {place.port}: cannot listen there ({error.strerror}); choose another (--port 0 takes a free one)"
        ) from error
    return made


def door_of(place: Place, listening: socket.socket) -> Door:
    """Return the names under which the page is served: those of this machine alone, and beyond it any address too."""
    port = listening.getsockname()[1]
    names = {*_LOOPBACK_NAMES}
    if place.beyond and not place.is_loopback():
        names |= {place.address, socket.gethostname().lower(), socket.getfqdn().lower()}
        return Door(port, frozenset(names), any_address=True)
    own = listening.getsockname()[0]
    return Door(port, frozenset({"localhost", own}))


def address_of(place: Place, door: Door) -> str:
    """Return the address to open, with its token."""
    host = place.address
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    elif ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{door.port}/?token={door.token}"


class _Server(uvicorn.Server):
    """A server that ends its endless answers before it waits for them."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending()
        super().handle_exit(sig, frame)


def server_of(app: ASGIApp, ending: Callable[[], None]) -> uvicorn.Server:
    """Return a server of an application; ``ending`` is called when a signal ends it."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_PATIENCE,
        h11_max_incomplete_event_size=1 << 16,
    )
    return _Server(config, ending)


def serve(
    app: ASGIApp,
    listening: socket.socket,
    ready: Callable[[], None],
    ending: Callable[[], None],
) -> None:
    """Serve until Ctrl-C or SIGTERM; ``ready`` is called once the socket takes connections, ``ending`` at the end."""
    with contextlib.suppress(KeyboardInterrupt):
        ready()
        server_of(app, ending).run(sockets=[listening])
