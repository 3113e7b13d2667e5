"""Every way in which a server cannot be reached has its own sentence, with what to try."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowmine.errors import InputError, UsageError
from flowmine.ingest.relay import Server, Timing
from flowmine.ingest.replay import Replay, Tls
from tests.ingest.relaying import QUICK, Authority, events, relay

IMPATIENT = Timing(connect=0.5, answer=0.5, attempts=2, first_wait=0.01)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority for this module's servers and clients."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[str, str]:
    """A server's certificate and key."""
    return authority.issue("relay", "DNS:localhost,DNS:*.hubble-relay.cilium.io,IP:127.0.0.1")


@pytest.fixture(scope="module")
def plain() -> Iterator[Replay]:
    """A server in the clear."""
    with Replay(events(10)) as server:
        yield server


@pytest.fixture(scope="module")
def secure(pair: tuple[str, str]) -> Iterator[Replay]:
    """A server with TLS."""
    with Replay(events(10), tls=Tls(*pair)) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(pair: tuple[str, str], authority: Authority) -> Iterator[Replay]:
    """A server with TLS that asks for client certificates."""
    with Replay(events(10), tls=Tls(*pair, client_ca=authority.ca)) as server:
        yield server


@contextmanager
def talking(answer: Callable[[socket.socket], Any]) -> Iterator[str]:
    """A server that does with each connection what ``answer`` does; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            while True:
                client, _ = listener.accept()
                if over.is_set():
                    client.close()
                    return
                with client, contextlib.suppress(ConnectionError):
                    answer(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            over.set()
            socket.create_connection((host, port)).close()
            thread.join()


def count(server: Server) -> int:
    """Read a server to its end; return how many flows it has."""
    return sum(batch.num_rows for batch in relay(server).batches())


def error(server: Server, timing: Timing = QUICK) -> str:
    """The sentence, without the address, with which reading a server fails."""
    with pytest.raises(InputError) as failed:
        list(relay(server, timing=timing).batches())
    prefix = f"{server.address}: "
    assert str(failed.value)[: len(prefix)] == prefix
    return str(failed.value).removeprefix(prefix)


def closed_port() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_port_at_which_nothing_listens() -> None:
    """A refused connection asks for the port and the port-forward."""
    assert error(Server(closed_port())).startswith(
        "nothing listens there: check the port, and that the port-forward"
    )


def test_a_name_that_does_not_resolve() -> None:
    """An unknown name is told as such."""
    told = error(Server("no-such-relay.invalid:4245"))
    assert told.startswith("the name no-such-relay.invalid does not resolve: check its spelling")


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    """A unix socket without file asks for the path."""
    assert error(Server(f"unix://{tmp_path}/none.sock")).startswith("there is no such socket: check the path")


def test_a_unix_socket_is_read(tmp_path: Path) -> None:
    """A server at a unix socket is read like any other."""
    with Replay(events(10), listen=f"unix://{tmp_path}/hubble.sock") as server:
        assert count(Server(server.address)) == 10


def test_tls_is_spoken(secure: Replay, authority: Authority) -> None:
    """With the authority's certificate, by option or by scheme, a server with TLS is read."""
    assert count(Server(secure.address, tls=True, ca_files=(authority.ca,))) == 10
    assert count(Server(f"tls://{secure.address}", ca_files=(authority.ca,))) == 10


def test_clear_text_to_a_server_with_tls(secure: Replay) -> None:
    """A server that wants TLS is told by trying."""
    assert error(Server(secure.address)) == "it speaks TLS: add --tls, or write the address as tls://…"


def test_tls_to_a_server_without(plain: Replay) -> None:
    """A server without TLS is told by trying."""
    told = error(Server(plain.address, tls=True))
    assert told == "it speaks no TLS: leave out --tls, or write the address without tls://"


def test_an_unknown_authority(secure: Replay, tmp_path: Path) -> None:
    """A certificate signed by another authority names both, and where to get the right one."""
    other = Authority.make(tmp_path)
    told = error(Server(secure.address, tls=True, ca_files=(other.ca,)))
    assert told.startswith(f"its certificate is not signed by {other.ca} (")
    assert told.endswith("give the cluster's own with --tls-ca-cert-files (in the secret cilium-ca, ca.crt)")
    without = error(Server(secure.address, tls=True))
    assert without.startswith("its certificate is not signed by the authorities that this computer trusts (")


def test_a_certificate_for_another_name(secure: Replay, authority: Authority) -> None:
    """A name that the certificate does not have asks for --tls-server-name, and one that it has is taken."""
    server = Server(secure.address, tls=True, ca_files=(authority.ca,), server_name="relay.elsewhere")
    assert error(server).startswith("its certificate is not for relay.elsewhere (")
    named = Server(
        secure.address, tls=True, ca_files=(authority.ca,), server_name="instance.hubble-relay.cilium.io"
    )
    assert count(named) == 10


def test_a_certificate_that_has_expired(authority: Authority, tmp_path: Path) -> None:
    """An expired certificate asks for a new one, or for the clock."""
    cert, key = authority.issue("late", "IP:127.0.0.1")
    late = str(tmp_path / "late.crt")
    subprocess.run(
        ["openssl", "x509", "-req", "-in", "late.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "-1",
         "-extfile", "late.ext", "-out", late],
        cwd=authority.folder, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    if not Path(late).is_file():
        pytest.skip("this openssl makes no certificate that has expired")
    with Replay(events(1), tls=Tls(late, key)) as server:
        told = error(Server(server.address, tls=True, ca_files=(authority.ca,)))
    assert told.startswith("its certificate has expired: renew it")
    assert Path(cert).is_file()


def test_any_certificate_is_taken_where_asked_for(secure: Replay) -> None:
    """--tls-allow-insecure reads a server whatever its certificate."""
    assert count(Server(secure.address, tls=True, allow_insecure=True)) == 10


@pytest.mark.parametrize(
    "names", ["DNS:*.hubble-relay.cilium.io", "IP:10.9.8.7", "IP:::1", "URI:spiffe://relay"]
)
def test_any_name_is_taken_where_asked_for(names: str, tmp_path: Path) -> None:
    """--tls-allow-insecure reads a server whose certificate is for another name, of any kind, of no known authority."""
    pair = Authority.make(tmp_path).issue("relay", names)
    with Replay(events(10), tls=Tls(*pair)) as server:
        assert count(Server(server.address, tls=True, allow_insecure=True)) == 10


def test_the_servers_own_certificate_may_be_the_authority(secure: Replay, pair: tuple[str, str]) -> None:
    """A pinned certificate is trusted without its authority, as by Hubble's own command line."""
    assert count(Server(secure.address, tls=True, ca_files=(pair[0],))) == 10


def test_a_client_certificate_is_shown(mutual: Replay, authority: Authority) -> None:
    """mTLS: with a certificate of the authority the server is read."""
    cert, key = authority.issue("client", "DNS:client")
    server = Server(mutual.address, tls=True, ca_files=(authority.ca,), client_cert=cert, client_key=key)
    assert count(server) == 10


def test_a_client_certificate_is_missing(mutual: Replay, authority: Authority) -> None:
    """A server that asks for a certificate and gets none: the options are named."""
    told = error(Server(mutual.address, tls=True, ca_files=(authority.ca,)))
    assert "it wants a client certificate (" in told or "it may want a client certificate (" in told
    assert "--tls-client-cert-file" in told


def test_a_client_certificate_is_not_taken(mutual: Replay, authority: Authority, tmp_path: Path) -> None:
    """A client's certificate of another authority is told as what is wrong."""
    cert, key = Authority.make(tmp_path).issue("stranger", "DNS:stranger")
    told = error(Server(mutual.address, tls=True, ca_files=(authority.ca,), client_cert=cert, client_key=key))
    assert "it does not take the client certificate (" in told or "it may want another client" in told


def test_files_that_cannot_be_read(authority: Authority, pair: tuple[str, str]) -> None:
    """A certificate's file that is not there, or is none, is named."""
    address = "127.0.0.1:1"
    for server, message in (
        (Server(address, tls=True, ca_files=("none.crt",)), "none.crt: cannot be read (No such file"),
        (
            Server(address, tls=True, ca_files=(__file__,)),
            f"{__file__}: no certificate of an authority in it",
        ),
        (
            Server(address, tls=True, client_cert=authority.ca, client_key=pair[1]),
            f"{authority.ca} with {pair[1]}: not a certificate and its unencrypted key",
        ),
    ):
        with pytest.raises(UsageError) as refused:
            count(server)
        assert str(refused.value)[: len(message)] == message


def test_a_server_that_says_nothing() -> None:
    """A server that takes the connection and stays silent is told after a while."""
    with talking(lambda client: client.recv(1 << 16) and client.recv(1 << 16)) as address:
        assert error(Server(address), IMPATIENT).startswith(
            "it says nothing within 0.5 s: a firewall between"
        )


def test_a_server_that_hangs_up() -> None:
    """A server that closes at once is told as that."""
    with talking(lambda client: client.recv(1)) as address:
        told = error(Server(address), IMPATIENT)
    assert told in (
        "the server closed the connection without a word",
        "the connection broke (Connection reset by peer)",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP/1, so this is not hubble-relay's gRPC port"),
        (b"220 mail.example ESMTP ready\r\n", "what it sends is not HTTP/2"),
    ],
)
def test_a_server_of_another_kind(words: bytes, message: str) -> None:
    """What speaks something else is told by what it says."""
    with talking(lambda client: (client.recv(1 << 16), client.sendall(words), client.recv(1))) as address:
        assert error(Server(address), IMPATIENT)[: len(message)] == message


def test_a_server_that_is_waited_for() -> None:
    """A patient reading goes on asking until the server is there."""
    address = closed_port()
    source = relay(address, follow=True, patient=True, tick=0.05)
    timer = threading.Timer(0.3, lambda: served.__enter__())
    served = Replay(events(5), listen=address)
    timer.start()
    rows = 0
    try:
        for batch in source.batches():
            rows += batch.num_rows
            if source.counts.connections:
                source.stop()
    finally:
        timer.join()
        served.__exit__(None, None, None)
    assert (source.counts.connections, source.ledger.total("reconnect") > 0) == (1, True)
