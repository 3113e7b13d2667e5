"""One call as who answers it sees it: a request, and the way to send messages and end with a status."""

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from flowmine.ingest.relay.rpc import CODES

if TYPE_CHECKING:
    from flowmine.ingest.replay.connection import Connection

__all__ = ["Closed", "Stream"]


class Closed(Exception):
    """The client has gone, or does not want the stream any more."""


class Stream:
    """One call: its request, and the way to answer. For one thread, apart from ``closed``."""

    def __init__(self, connection: "Connection", number: int, headers: dict[str, str], window: int) -> None:
        """Begin a call of a client."""
        self.connection, self.number, self.headers = connection, number, headers
        self.path = headers.get(":path", "")
        self.request = b""
        self.window = window
        self.closed = False
        self._begun = False

    def send(self, messages: bytes) -> None:
        """Send messages with gRPC's prefixes, as fast as the client takes them. Raise Closed."""
        if not self._begun:
            self._begin()
        place = 0
        while place < len(messages):
            place += self.connection.write_data(self, messages, place)

    def reply(self, message: bytes) -> None:
        """Send one message. Raise Closed."""
        self.send(b"\x00" + len(message).to_bytes(4) + message)

    def _begin(self) -> None:
        self._begun = True
        self.connection.write_headers(
            self, [(":status", "200"), ("content-type", "application/grpc")], last=False
        )

    def finish(self, code: str = "OK", message: str = "") -> None:
        """End the call with a status."""
        start = [] if self._begun else [(":status", "200"), ("content-type", "application/grpc")]
        trailers = [("grpc-status", str(CODES.index(code)))]
        if message:
            trailers.append(("grpc-message", quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~")))
        with contextlib.suppress(Closed):
            self.connection.write_headers(self, start + trailers, last=True)
        self.closed = True
        self.connection.forget(self)
