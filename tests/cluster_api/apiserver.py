"""An API server of the tests' own: real HTTP on loopback, lists with pages as Kubernetes serves them, and failures."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["ApiServer", "kubeconfig", "serving"]

Answer = tuple[int, Any]


@dataclass
class ApiServer:
    """What is served: lists of objects by path; a path that is not there is 404.

    ``failures`` are answered once each, in order, before anything else; ``always`` to every request. ``page`` bounds a
    page whatever is asked for. ``requests`` records every path with its query, ``tokens`` who asked, ``methods`` how.
    """

    lists: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, list[Answer]] = field(default_factory=dict)
    always: dict[str, Answer] = field(default_factory=dict)
    page: int = 1_000_000
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    url: str = ""

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """Return status and body."""
        if self.failures.get(path):
            return self.failures[path].pop(0)
        if path in self.always:
            return self.always[path]
        if path not in self.lists:
            return 404, status(404, "the server could not find the requested resource")
        items, start = self.lists[path], int(query.get("continue") or 0)
        stop = start + min(int(query.get("limit") or self.page), self.page)
        metadata: dict[str, Any] = {"resourceVersion": "7"}
        if stop < len(items):
            metadata["continue"] = str(stop)
        return 200, {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[start:stop]}


def status(code: int, message: str) -> dict[str, Any]:
    """Return the Status object in which an API server says what is wrong."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


@contextmanager
def serving(server: ApiServer, certificate: tuple[Path, Path] | None = None) -> Iterator[ApiServer]:
    """Serve on a free port of loopback within the block, over TLS where a certificate and its key are given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            server.requests.append((parts.path, query))
            server.tokens.add(self.headers.get("Authorization", ""))
            server.methods.add(self.command)
            code, body = server.answer(parts.path, query)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    scheme = "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        scheme = "https"
    server.url = f"{scheme}://127.0.0.1:{listener.server_port}"
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def kubeconfig(folder: Path, url: str, context: str = "kind", **cluster: Any) -> Path:
    """Write a kubeconfig with two contexts, `context` the current one, and return its path."""
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": context,
                "clusters": [
                    {"name": "one", "cluster": {"server": url, **cluster}},
                    {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}},
                ],
                "contexts": [
                    {"name": context, "context": {"cluster": "one", "user": "reader"}},
                    {"name": "away", "context": {"cluster": "gone", "user": "reader"}},
                ],
                "users": [{"name": "reader", "user": {"token": "t0ken"}}],
            }
        )
    )
    return path
