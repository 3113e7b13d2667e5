"""Connect a socket to a Hubble server, through TLS where asked; every way in which that fails has its own sentence."""

import errno
import socket
import ssl
from collections.abc import Iterator

from flowmine.errors import UsageError
from flowmine.ingest.relay.address import Place, Server
from flowmine.ingest.relay.frames import PREFACE, settings
from flowmine.ingest.relay.rpc import Broken

__all__ = ["context_of", "dial", "speaks_http2", "speaks_tls", "tls_failure"]

_OF_ERRNO = {
    errno.ECONNREFUSED: "nothing listens there: check the port, and that the port-forward runs "
    "(cilium hubble port-forward, or -P)",
    errno.ENOENT: "there is no such socket: check the path, and that this is the node's own file system",
    errno.EACCES: "no right to use it: run as a user who may, or choose another --server",
    errno.ENETUNREACH: "the network cannot be reached: check the address and the VPN",
    errno.EHOSTUNREACH: "the host cannot be reached: check the address and the VPN",
    errno.ECONNRESET: "the connection was reset before anything was said",
}


def dial(server: Server, timeout: float) -> socket.socket:
    """Return a connected socket, non-blocking, the TLS handshake done.

    Raise Broken where that fails, UsageError where a certificate's file cannot be read.
    """
    context = context_of(server) if server.secure else None
    plain = _connect(server.place, timeout)
    try:
        secured = plain if context is None else _handshake(plain, context, server, timeout)
    except BaseException:
        plain.close()
        raise
    secured.setblocking(False)
    return secured


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
        if speaks_http2(server.place, timeout):
            raise Broken("it speaks no TLS: leave out --tls, or write the address without tls://") from error
        raise Broken(tls_failure(error, server)) from error
    if secured.selected_alpn_protocol() not in ("h2", None):
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


def speaks_tls(place: Place, timeout: float) -> bool:
    """Tell whether a server answers to a TLS handshake, whatever its certificate."""
    context = context_of(Server("localhost:1", tls=True, allow_insecure=True))
    try:
        with _connect(place, timeout) as plain, context.wrap_socket(plain, server_hostname="localhost"):
            return True
    except (ssl.SSLError, Broken, OSError) as error:
        return isinstance(error, ssl.SSLError) and "alert" in str(error).lower()


def speaks_http2(place: Place, timeout: float) -> bool:
    """Tell whether a server answers to HTTP/2 in the clear."""
    try:
        with _connect(place, timeout) as plain:
            plain.sendall(PREFACE + settings(1 << 16))
            head = plain.recv(9)
            return len(head) == 9 and head[3] == 4 and head[5:9] == bytes(4)
    except (Broken, OSError):
        return False
