"""What a call over gRPC ends with: the codes, and the two ways in which it can fail."""

from urllib.parse import unquote

__all__ = ["CODES", "Broken", "Refused", "ended"]

CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""Names of gRPC's status codes, by number."""


class Broken(Exception):
    """The connection failed, or never came about; the text says how, as half a sentence."""


class Refused(Exception):
    """The server answered a call with a status other than OK."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code's name (see `CODES`) and the server's own words."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code, self.message = code, message


def ended(headers: dict[str, str]) -> Refused | None:
    """Return what the last headers of an answer say: None for OK.

    A status is looked for first as gRPC gives it, then as HTTP does (a proxy between).

    >>> ended({"grpc-status": "14", "grpc-message": "no%20peers"})
    Refused('UNAVAILABLE: no peers')
    """
    number = headers.get("grpc-status")
    if number is None:
        return Refused("UNKNOWN", f"an answer without gRPC status (HTTP {headers.get(':status', 'without')})")
    if number == "0":
        return None
    known = number.isdecimal() and int(number) < len(CODES)
    return Refused(CODES[int(number)] if known else "UNKNOWN", unquote(headers.get("grpc-message", "")))
