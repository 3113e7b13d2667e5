"""Try a server before gRPC does: every way in which it cannot be spoken to has its own sentence.

gRPC's library says of all of them that the address is unavailable, and after a while. It is also shown what to trust:
where any certificate will do, or those that this computer trusts, it is given the one that the server has just shown.
"""

import contextlib
import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.relay.address import Place, Server
from flowmine.ingest.relay.rpc import Broken

__all__ = ["Seen", "context_of", "look", "speaks_tls", "tls_failure"]

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of HTTP/2 says first, and empty SETTINGS (RFC 9113, 3.4); a server begins with its own."""

_HEAD, _SETTINGS = 9, 4
_PROBE_SECONDS, _PARTING_SECONDS = 2.0, 0.5

_OF_ERRNO = {
    errno.ECONNREFUSED: "nothing listens there: check the port, and that the port-forward runs "
    "(cilium hubble port-forward, or -P)",
    errno.ENOENT: "there is no such socket: check the path, and that this is the node's own file system",
    errno.EACCES: "no right to use it: run as a user who may, or choose another --server",
    errno.ENETUNREACH: "the network cannot be reached: check the address and the VPN",
    errno.EHOSTUNREACH: "the host cannot be reached: check the address and the VPN",
    errno.ECONNRESET: "the connection was reset before anything was said",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What gRPC needs to go where a look has been.

    ``target`` is the address that answered, as gRPC writes it. With TLS, ``roots`` are the certificates to trust (PEM),
    and ``name`` is one that the server's certificate is for.
    """

    target: str
    roots: bytes = b""
    name: str = ""


def look(server: Server, timeout: float) -> Seen:
    """Connect to a server, see that it speaks HTTP/2, through TLS where asked, and hang up.

    Raise Broken where that fails, UsageError where a certificate's file cannot be read.
    """
    context = context_of(server) if server.secure else None
    with _connect(server.place, timeout) as plain:
        target = _target(plain, server.place)
        if context is None:
            _greet(plain, server, timeout)
            return Seen(target)
        with _handshake(plain, context, server, timeout) as secured:
            shown = ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b"")
            _greet(secured, server, timeout)
            return _trusting(shown, server, target)


def _target(connected: socket.socket, place: Place) -> str:
    if place.path:
        return f"unix:{place.path}"
    host, port = connected.getpeername()[:2]
    return f"ipv6:[{host}]:{port}" if connected.family == socket.AF_INET6 else f"ipv4:{host}:{port}"


def _trusting(shown: str, server: Server, target: str) -> Seen:
    """Return what to trust so that gRPC believes the certificate that was taken here."""
    name = server.server_name or server.place.host or "localhost"
    if server.allow_insecure:
        return Seen(target, shown.encode(), _own_name(shown, server, name))
    if server.ca_files:
        return Seen(target, b"\n".join(Path(path).read_bytes() for path in server.ca_files), name)
    return Seen(target, shown.encode(), name)


def _own_name(shown: str, server: Server, wanted: str) -> str:
    """Return a name that a certificate is for, the ``wanted`` one if it can be. Raise Broken where it has expired."""
    context = context_of(replace(server, allow_insecure=False))
    context.check_hostname = False
    context.load_verify_locations(cadata=shown)
    with (
        _connect(server.place, _PROBE_SECONDS) as plain,
        _handshake(plain, context, server, _PROBE_SECONDS) as secured,
    ):
        told: dict[str, Any] = secured.getpeercert() or {}
    named = [pair for part in told.get("subject", ()) for pair in part if pair[0] == "commonName"]
    pairs = [*told.get("subjectAltName", ()), *named]
    names = [str(value) for kind, value in pairs if kind in ("DNS", "commonName")]
    names += [str(ipaddress.ip_address(value.strip())) for kind, value in pairs if kind == "IP Address"]
    if wanted in names or f"*.{wanted.partition('.')[2]}" in names:
        return wanted
    return names[0].replace("*.", "instance.", 1) if names else wanted


def context_of(server: Server) -> ssl.SSLContext:
    """Return the TLS settings of a server. Raise UsageError where a file cannot be read or is not what it should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["h2"])
    if server.allow_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not server.ca_files:
        context.load_default_certs()
    for path in server.ca_files:
        try:
            context.load_verify_locations(path)
        except OSError as error:  # ssl.SSLError is one
            raise UsageError(
                f"{path}: {_unreadable(error, 'no certificate of an authority in it')}"
            ) from error
    if server.client_cert:
        try:
            context.load_cert_chain(server.client_cert, server.client_key, password=_no_password)
        except OSError as error:
            what = (
                f"with {server.client_key}: {_unreadable(error, 'not a certificate and its unencrypted key')}"
            )
            raise UsageError(f"{server.client_cert} {what}") from error
    return context


def _no_password() -> str:
    return ""


def _unreadable(error: OSError, otherwise: str) -> str:
    if isinstance(error, ssl.SSLError) or error.strerror is None:
        return otherwise
    return f"cannot be read ({error.strerror})"


def _connect(place: Place, timeout: float) -> socket.socket:
    try:
        if not place.path:
            connected = socket.create_connection((place.host, place.port), timeout)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(timeout)
        try:
            plain.connect(place.path)
        except BaseException:
            plain.close()
            raise
        return plain
    except (socket.gaierror, UnicodeError) as error:
        raise Broken(
            f"the name {place.host} does not resolve: check its spelling; names like hubble-relay.kube-system.svc "
            "are known inside the cluster only (from outside: -P)"
        ) from error
    except TimeoutError as error:
        raise Broken(
            f"no answer within {timeout:g} s: a firewall, or the wrong address; try a port-forward (-P)"
        ) from error
    except OSError as error:
        raise Broken(_OF_ERRNO.get(error.errno or 0) or str(error.strerror or error)) from error


def _handshake(
    plain: socket.socket, context: ssl.SSLContext, server: Server, timeout: float
) -> ssl.SSLSocket:
    """Return the socket wrapped in TLS, the server's certificate checked."""
    name = server.server_name or server.place.host or "localhost"
    plain.settimeout(timeout)
    try:
        secured = context.wrap_socket(plain, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        raise Broken(" ".join(_distrust(error, name, server))) from error
    except TimeoutError as error:
        raise Broken(
            f"no answer to the TLS handshake within {timeout:g} s: is there TLS at this port?"
        ) from error
    except OSError as error:  # ssl.SSLError is one
        if _speaks_http2(server.place, timeout):
            raise Broken("it speaks no TLS: leave out --tls, or write the address without tls://") from error
        raise Broken(tls_failure(error, server)) from error
    if secured.selected_alpn_protocol() != "h2":
        secured.close()
        raise Broken("it speaks TLS, and not HTTP/2, so this is not hubble-relay's gRPC port")
    return secured


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error).lower().replace("_", " ")


def tls_failure(error: OSError, server: Server) -> str:
    """Say what an error of TLS, in the handshake or soon after it, means."""
    reason = _reason(error)
    if server.client_cert and any(each in reason for each in ("unknown ca", "bad certificate", "expired")):
        return (
            f"it does not take the client certificate ({reason}): is it of the authority that relay trusts?"
        )
    if "certificate required" in reason or "handshake failure" in reason or "bad certificate" in reason:
        return (
            f"it wants a client certificate ({reason}): give --tls-client-cert-file and --tls-client-key-file"
        )
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        certificate = "another client certificate" if server.client_cert else "a client certificate"
        return f"it hung up during TLS: it may want {certificate} (--tls-client-cert-file, --tls-client-key-file)"
    return f"TLS failed ({reason}): check that this is hubble-relay's TLS port"


def _distrust(error: ssl.SSLCertVerificationError, name: str, server: Server) -> Iterator[str]:
    """Say why a certificate is not believed, and what to do."""
    code = error.verify_code
    if code in (62, 64):
        yield f"its certificate is not for {name} ({error.verify_message.rstrip('.')}):"
        yield "name one that it is for with --tls-server-name (relay's own: instance.hubble-relay.cilium.io)"
    elif code == 10:
        yield "its certificate has expired: renew it in the cluster, or check this computer's clock"
    elif code == 9:
        yield "its certificate is not valid yet: check this computer's clock"
    else:
        given = ", ".join(server.ca_files) or "the authorities that this computer trusts"
        yield f"its certificate is not signed by {given} ({error.verify_message.rstrip('.')}):"
        yield "give the cluster's own with --tls-ca-cert-files (in the secret cilium-ca, ca.crt)"


def _greet(connected: socket.socket, server: Server, timeout: float) -> None:
    """Begin HTTP/2, and see that the server does so too. Raise Broken where it does not."""
    connected.settimeout(timeout)
    try:
        connected.sendall(_GREETING)
        head = connected.recv(_HEAD)
        while head and len(head) < _HEAD and (more := connected.recv(_HEAD - len(head))):
            head += more
    except TimeoutError:
        words = f"it says nothing within {timeout:g} s: a firewall between, or no gRPC at this port"
    except OSError as error:  # ssl.SSLError is one
        words = f"the connection broke ({error.strerror or error})"
        if server.secure:
            words = tls_failure(error, server)
    else:
        if _is_settings(head):
            _part(connected)
            return
        words = "the server closed the connection without a word"
        if head[:6] == b"HTTP/1":
            words = "it speaks HTTP/1, so this is not hubble-relay's gRPC port"
        elif head:
            words = "what it sends is not HTTP/2, so this is not hubble-relay's gRPC port"
        elif server.secure:
            words = tls_failure(ConnectionError(), server)
    if not server.secure and speaks_tls(server.place, min(timeout, _PROBE_SECONDS)):
        words = "it speaks TLS: add --tls, or write the address as tls://…"
    raise Broken(words)


def _part(connected: socket.socket) -> None:
    """Hang up so that nobody between takes it for a broken connection: what was still coming is read first."""
    with contextlib.suppress(OSError):
        connected.settimeout(_PARTING_SECONDS)
        connected.shutdown(socket.SHUT_WR)
        while connected.recv(4096):
            pass


def _is_settings(head: bytes) -> bool:
    return len(head) == _HEAD and head[3] == _SETTINGS and head[5:] == bytes(4)


def speaks_tls(place: Place, timeout: float) -> bool:
    """Tell whether a server answers to a TLS handshake, whatever its certificate."""
    context = context_of(Server("localhost:1", tls=True, allow_insecure=True))
    try:
        with _connect(place, timeout) as plain, context.wrap_socket(plain, server_hostname="localhost"):
            return True
    except (ssl.SSLError, Broken, OSError) as error:
        return isinstance(error, ssl.SSLError) and "alert" in str(error).lower()


def _speaks_http2(place: Place, timeout: float) -> bool:
    """Tell whether a server answers to HTTP/2 in the clear."""
    try:
        with _connect(place, timeout) as plain:
            plain.sendall(_GREETING)
            return _is_settings(plain.recv(_HEAD))
    except (Broken, OSError):
        return False
