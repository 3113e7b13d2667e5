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

_OF_THE_LINK = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "RESOURCE_EXHAUSTED"})
_FROM_PEER = "received from peer"


class Broken(Exception):
    """The connection failed, or never came about; the text says how, as half a sentence."""


class Refused(Exception):
    """The server answered a call with a status other than OK."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code's name (``UNAVAILABLE``) and the server's own words."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code, self.message = code, message


def failure_of(error: Any) -> Broken | Refused:
    """Return what an error of gRPC's is: a status that the server gave, or the library for want of an answer."""
    code, words = error.code().name, error.details() or ""
    if code in _OF_THE_LINK and _FROM_PEER not in (error.debug_error_string() or ""):
        return Broken(f"the connection broke ({words or code})")
    return Refused(code, words)
