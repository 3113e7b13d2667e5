"""A websocket that forwards a pod's port, as an API server serves it (v4.channel.k8s.io), in front of a real server."""

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.cluster_api.apiserver import ApiServer

__all__ = ["Forwarder", "forwarding"]

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Forwarder:
    """Where ports of pods really lead, by pod, and what was asked for: pod and port of each stream."""

    api: ApiServer
    targets: dict[str, tuple[str, int]]
    streams: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def forwarding(forwarder: Forwarder) -> Iterator[Forwarder]:
    """Serve lists and forwarded ports on a free port of loopback within the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.endswith("/portforward"):
                pod = path.split("/")[-2]
                forwarder.streams.append((pod, query))
                _serve(self, forwarder.targets[pod], int(query.rpartition("=")[2]))
                return
            code, body = forwarder.api.answer(path, {})
            data = _json(body)
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    forwarder.api.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield forwarder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body).encode()


def _serve(request: BaseHTTPRequestHandler, target: tuple[str, int], named: int) -> None:
    """Turn the request into a websocket and carry bytes to and from the target."""
    key = request.headers["Sec-WebSocket-Key"] + _MAGIC
    request.send_response(101)
    request.send_header("Upgrade", "websocket")
    request.send_header("Connection", "Upgrade")
    request.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
    request.send_header(
        "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    )
    request.end_headers()
    request.close_connection = True
    client = request.connection
    port = struct.pack("<H", named)
    for channel in (b"\0", b"\1"):
        client.sendall(_frame(channel + port))
    with socket.create_connection(target) as pod:
        _carry(client, request.rfile, pod)


def _carry(client: socket.socket, stream: Any, pod: socket.socket) -> None:
    """Carry bytes both ways; frames are read by a thread, for several may lie in the stream's buffer at once."""
    client.setblocking(True)
    reader = threading.Thread(target=_to_pod, args=(client, stream, pod), daemon=True)
    reader.start()
    with contextlib.suppress(OSError):
        while data := pod.recv(1 << 15):
            client.sendall(_frame(b"\0" + data))
        client.sendall(b"\x88\x00")
        client.shutdown(socket.SHUT_WR)
    reader.join(5)  # to the client's own end: what is left unread would reset its connection


def _to_pod(client: socket.socket, stream: Any, pod: socket.socket) -> None:
    while (payload := _read(stream)) is not None:
        with contextlib.suppress(OSError):
            if payload[:1] == b"\0" and payload[1:]:
                pod.sendall(payload[1:])
    with contextlib.suppress(OSError):
        pod.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError, ValueError):
        client.settimeout(1)
        while stream.read1(4096):
            pass


def _frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    return b"\x82\x7e" + struct.pack(">H", size) + payload


def _read(stream: Any) -> bytes | None:
    """Read one masked frame; None at the end."""
    try:
        head = stream.read(2)
    except (OSError, ValueError):
        return None
    if len(head) < 2 or head[0] & 15 == 8:
        return None
    size = head[1] & 127
    if size == 126:
        (size,) = struct.unpack(">H", stream.read(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", stream.read(8))
    mask = stream.read(4)
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(stream.read(size)))
