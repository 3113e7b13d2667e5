"""The replay server's TLS, and its command, which runs until it is told to stop."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from flowmine.errors import InputError
from flowmine.ingest.pb.observer_pb2 import GetFlowsRequest
from flowmine.ingest.replay import Capture, Replay, Tls
from tests.ingest.making import lines
from tests.ingest.relaying import Authority
from tests.ingest.test_replay import ask, events, flows, numbers, observer_pb2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make an authority for all tests of this module."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


def credentials(authority: Authority, client: tuple[str, str] | None = None) -> Any:
    """Return what a client trusts, and shows."""
    cert, key = (Path(name).read_bytes() for name in client) if client else (None, None)
    return grpc.ssl_channel_credentials(Path(authority.ca).read_bytes(), key, cert)


def served_numbers(server: Replay, trusted: Any) -> list[int]:
    """Return which events a client with these credentials gets."""
    with grpc.secure_channel(server.address, trusted) as channel:
        return numbers(flows(channel))


def test_tls(authority: Authority) -> None:
    """A client that trusts the authority is served; one that speaks no TLS is not."""
    with Replay(Capture(events()), tls=Tls(*authority.issue("server", "IP:127.0.0.1"))) as server:
        assert list(range(30)) == served_numbers(server, credentials(authority))
        with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError):
            list(ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(), 3))


def test_clients_need_a_certificate_where_asked(authority: Authority, tmp_path: Path) -> None:
    """With an authority for clients, only those with its certificate are served."""
    tls = Tls(*authority.issue("server", "IP:127.0.0.1"), client_ca=authority.ca)
    stranger = Authority.make(tmp_path).issue("stranger", "DNS:stranger")
    with Replay(Capture(events()), tls=tls) as server:
        trusted = credentials(authority, authority.issue("client", "DNS:client"))
        assert list(range(30)) == served_numbers(server, trusted)
        for client in (None, stranger):
            with pytest.raises(grpc.RpcError):
                served_numbers(server, credentials(authority, client))


def test_much_comes_through_tls(authority: Authority) -> None:
    """More than fits in any buffer comes whole through TLS."""
    many = Capture(events(30, Summary="x" * 5000) * 200)
    with Replay(many, tls=Tls(*authority.issue("server", "IP:127.0.0.1"))) as server:
        assert 6000 == len(served_numbers(server, credentials(authority)))


def test_certificates_that_cannot_be_used_are_refused(authority: Authority) -> None:
    """A file that is no certificate is an error that names it."""
    cert, key = authority.issue("server", "IP:127.0.0.1")
    with Capture(events()) as capture:
        with pytest.raises(InputError, match=r"no usable certificate and key"):
            Replay(capture, tls=Tls(key, cert))
        with pytest.raises(InputError, match=r"missing\.crt.*No such file"):
            Replay(capture, tls=Tls("missing.crt", key))


def started(path: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start the command; return it and the address that it tells."""
    command = [
        sys.executable,
        "-m",
        "flowmine",
        "replay",
        str(path),
        "-q",
        "--listen",
        "127.0.0.1:0",
        *arguments,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = process.stderr.readline()
    found = re.fullmatch(r"serving 30 events of 2 nodes at (\S+) \(Ctrl-C ends\)\n", told)
    assert found, told + process.stderr.read()
    return process, found[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_stopped(tmp_path: Path, number: int) -> None:
    """The command says where it listens, serves, and ends well when told to stop."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(lines(*events()))
    process, address = started(path, "--fail", "end@7")
    with grpc.insecure_channel(address) as channel:
        assert list(range(7)) == numbers(flows(channel))
        assert list(range(30)) == numbers(flows(channel))
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=10)
    assert (0, "") == (process.returncode, said)


def test_the_command_lets_events_come_slowly(tmp_path: Path) -> None:
    """With a rate the events come one after another, into rings of a given size."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(lines(*events()))
    process, address = started(path, "--rate", "40", "--ring", "3")
    with grpc.insecure_channel(address) as channel:
        assert len(flows(channel)) < 6
        deadline = time.monotonic() + 20
        while numbers(found := flows(channel)) != list(range(24, 30)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert list(range(24, 30)) == numbers(found)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fail", "boom@3"], "no way to fail is called 'boom'"),
        (["--tls-cert", "server.crt"], "TLS takes both --tls-cert and --tls-key"),
        (["--listen", "nowhere"], "nowhere: cannot listen there"),
    ],
)
def test_the_command_refuses_what_cannot_be(tmp_path: Path, arguments: list[str], said: str) -> None:
    """A mistake on the command line is one line on stderr, exit 2."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(lines(*events(2)))
    command = [sys.executable, "-m", "flowmine", "replay", str(path), "-q", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (2, 1) == (result.returncode, len(result.stderr.splitlines()))
    assert said in result.stderr
