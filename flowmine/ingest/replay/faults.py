"""What can go wrong between a client and hubble-relay, on demand."""

from dataclasses import dataclass

from flowmine.errors import UsageError

__all__ = ["Fault", "fault_of"]

_KINDS = {
    "drop": "close the connection",
    "stall": "say and hear nothing more on it, while it stays open",
    "garbage": "send a message that is no event",
    "nonsense": "send bytes that are no HTTP/2",
    "refuse": "end the stream with status UNAVAILABLE",
    "end": "end the stream with status OK",
    "lose": "lose a node",
    "regain": "have the node back, which is then asked again",
    "restart": "begin anew with empty rings, every connection closed",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong once, as soon as ``after`` events were sent in all; ``node`` is for lose and regain.

    ``drop`` closes the connection, ``stall`` leaves it open and silent, ``garbage`` sends a message that is no event,
    ``nonsense`` bytes that are no HTTP/2, ``refuse`` and ``end`` end the stream, ``lose`` and ``regain`` a node,
    ``restart`` begins with empty rings and closes every connection. Raise UsageError for another kind.
    """

    kind: str
    after: int
    node: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.kind not in _KINDS:
            raise UsageError(f"no way to fail is called {self.kind!r} (known: {', '.join(_KINDS)})")
        if (self.kind in ("lose", "regain")) != bool(self.node):
            raise UsageError(f"{self.kind} {'needs' if not self.node else 'takes no'} node")
        if self.after < 0:
            raise UsageError(f"a fault after {self.after} events cannot be")


def fault_of(text: str) -> Fault:
    """Read a fault as the command line has it, ``KIND@COUNT`` or ``KIND=NODE@COUNT``. Raise UsageError.

    >>> fault_of("lose=default/node-2@5000")
    Fault(kind='lose', after=5000, node='default/node-2')
    """
    what, at, count = text.rpartition("@")
    kind, _, node = what.partition("=")
    if not at or not count.isdecimal():
        raise UsageError(f"{text!r} is no fault: write drop@1000, or lose=NODE@1000")
    return Fault(kind, int(count), node)
