"""Where a Hubble server is and how it is to be spoken to: what `--server`, `--tls…` and `--basic-auth-…` say."""

import os
from base64 import b64encode
from dataclasses import dataclass, field

from flowmine.errors import UsageError

__all__ = ["DEFAULT", "PORT", "Place", "Server", "place_of"]

PORT = 4245
"""Where Hubble's agents, and a forwarded hubble-relay, listen."""

DEFAULT = f"localhost:{PORT}"


@dataclass(frozen=True, slots=True)
class Place:
    """An address taken apart: a path of a unix socket, or a host and a port."""

    path: str = ""
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """A Hubble server, as Hubble's own command line describes it.

    ``address`` is ``host:port``, ``tls://host:port`` or ``unix:///path``. Raise UsageError for an address, or for
    options, that cannot be.
    """

    address: str = DEFAULT
    tls: bool = False
    ca_files: tuple[str, ...] = ()
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""
    allow_insecure: bool = False
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        place_of(self.address)
        if bool(self.client_cert) != bool(self.client_key):
            raise UsageError(
                "a client certificate takes both --tls-client-cert-file and --tls-client-key-file"
            )
        if bool(self.username) != bool(self.password):
            raise UsageError(
                "basic authentication takes both --basic-auth-username and --basic-auth-password"
            )
        if self.username and not self.secure:
            raise UsageError(
                "basic authentication without TLS would show the password to the network: add --tls"
            )

    @property
    def secure(self) -> bool:
        """Tell whether TLS is asked for: by the address or by name."""
        return self.tls or self.address.startswith("tls://")

    @property
    def place(self) -> Place:
        """The address, taken apart."""
        return place_of(self.address)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What is sent with every call."""
        if not self.username:
            return ()
        token = b64encode(f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")).decode()
        return (("authorization", f"Basic {token}"),)

    @property
    def authority(self) -> str:
        """The name under which the server is called."""
        place = self.place
        if self.server_name or place.path:
            return self.server_name or "localhost"
        return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def place_of(address: str) -> Place:
    """Take an address apart. Raise UsageError where it is none.

    >>> place_of("tls://relay.example:443")
    Place(path='', host='relay.example', port=443)
    >>> place_of("unix:///var/run/cilium/hubble.sock").path
    '/var/run/cilium/hubble.sock'
    """
    if "@" in address and not address.startswith("unix:"):  # not repeated: it may hold a password
        raise UsageError(
            "an address names no user: write host:port, and --basic-auth-username and HUBBLE_BASIC_AUTH_PASSWORD"
        )
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        path = path.removeprefix("//") if path.startswith("///") else path
        if not path.strip("/"):
            raise UsageError(f"{address}: no path of a socket; write unix:///var/run/cilium/hubble.sock")
        return Place(path=os.path.expanduser(path))  # noqa: PTH111
    rest = address.removeprefix("tls://")
    scheme, mark, _ = rest.partition("://")
    if mark and scheme not in ("dns", "passthrough"):
        raise UsageError(
            f"{address}: {scheme}:// is no way to a Hubble server; write host:port or tls://host:port"
        )
    if mark:
        rest = rest.partition("://")[2].removeprefix("/")
    host, colon, port = rest.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed):
        raise UsageError(
            f"{address}: no port; hubble-relay is at {PORT} when forwarded, as a Service at 80, and with TLS at 443"
        )
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"{address}: {port!r} is no port")
    return Place(host=host.strip("[]") if bracketed else host, port=int(port))
