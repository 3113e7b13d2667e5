"""Serve metrics to Prometheus."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from flowmine.errors import UsageError

__all__ = ["Exporter"]


class Exporter:
    """An HTTP server of ``/metrics`` and ``/healthz``, in a thread of its own while the context lasts."""

    def __init__(self, listen: str, text: Callable[[], str]) -> None:
        """Serve what ``text`` returns at ``HOST:PORT`` or ``PORT`` (then on all addresses).

        Raise UsageError where one cannot listen there.
        """
        host, _, port = listen.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise UsageError(f"--metrics-port {listen}: write a port, or HOST:PORT")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                answers: dict[str, Callable[[], str]] = {"/metrics": text, "/healthz": _healthy}
                body = answers[path]() if path in answers else ""
                data = body.encode("utf-8", "replace")
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        try:
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
        except OSError as error:
            raise UsageError(
                f"--metrics-port {listen}: cannot listen there ({error.strerror or error})"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="flowmine-metrics", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0 the system chose it."""
        return int(self._server.server_address[1])

    def __enter__(self) -> "Exporter":
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _healthy() -> str:
    return "ok\n"
