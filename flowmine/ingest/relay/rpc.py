"""gRPC's library as it is used here, and the two ways in which a call can fail.

`grpc` is imported from here, for what its core logs, by itself and to stderr, has to be told off before: all of it is
said in sentences of our own.
"""

import os
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import grpc.experimental

__all__ = ["Broken", "Refused", "failure_of", "grpc"]

_LINK_WORDS = (
    "Stream removed",
    "Socket closed",
    "failed to connect",
    "Connection reset",
    "GOAWAY",
    "recvmsg",
    "sendmsg",
    "keepalive",
)
"""What gRPC's core says where it has lost a connection: the status alone does not tell that from a server's own."""


class Broken(Exception):
    """The connection failed, or never came about; the text says how, as half a sentence."""


class Refused(Exception):
    """The server answered a call with a status other than OK."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code's name (``UNAVAILABLE``) and the server's own words."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code, self.message = code, message


def failure_of(error: Any) -> Broken | Refused:
    """Return what an error of gRPC's is: an answer, or in its place a connection that is no more."""
    code, words = error.code().name, error.details() or ""
    # a deadline is a failure of the answer, whatever gRPC says of the stream: who asks tells a dead link by it
    if code != "DEADLINE_EXCEEDED" and any(each in words for each in _LINK_WORDS):
        return Broken(f"the connection broke ({words})")
    return Refused(code, words)
