"""How long and how much a reader may take, by the size of its input; and small inputs that would be large if let."""

import gzip
import json
import lzma
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import zstandard

from tests.fuzz.samples import RECORDS, frames
from tests.fuzz.targets import TARGETS
from tests.ingest.making import lines

__all__ = ["BOMBS", "TooSlow", "within"]

SECONDS = 10.0
"""What any input may take, on a machine that is busy with other things; another for each 100 kB."""

MOST = 200 << 20
"""How far all bombs together may push the memory of a process."""


class TooSlow(Exception):
    """A reader took longer than its input's size allows."""


@contextmanager
def within(size: int) -> Iterator[None]:
    """Raise TooSlow in the block when it takes too long for an input of so many bytes; main thread only."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TooSlow(f"more than {allowed:.0f} s for {size:,} bytes")

    allowed = SECONDS + size / 100_000
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, allowed)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_POLICY = (
    b"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: b%s}\nspec: %s\n"
)
_DEEP = 50_000


def _laughs() -> bytes:
    """Aliases of aliases: nine to the ninth."""
    levels = ["  l0: &l0 [a, a, a, a, a, a, a, a, a]"]
    levels += [f"  l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 10)]
    return _POLICY % (b"", b"\n" + "\n".join(levels).encode())


def _event(**members: object) -> bytes:
    return lines({"flow": {**RECORDS[0]["flow"], **members}, "time": RECORDS[0]["time"]})


def _ranges() -> bytes:
    rules = [{"toPorts": [{"ports": [{"port": str(at), "endPort": 65535}]}]} for at in range(1, 400)]
    return _POLICY % (b"", json.dumps({"endpointSelector": {}, "ingress": rules}).encode())


def _selector() -> bytes:
    choices = [
        {"key": f"k{key}", "operator": "In", "values": [f"v{value}" for value in range(60)]}
        for key in range(60)
    ]
    return _POLICY % (
        b"",
        json.dumps({"endpointSelector": {"matchExpressions": choices}, "ingress": [{}]}).encode(),
    )


_ZEROS = bytes(1 << 20)
_NESTED = b"[" * _DEEP + b"]" * _DEEP
BOMBS: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("compressed", lambda: gzip.compress(_ZEROS) * 256),
    ("compressed", lambda: zstandard.compress(_ZEROS) * 256),
    ("compressed", lambda: lzma.compress(_ZEROS, preset=0) * 128),
    ("compressed", lambda: gzip.compress(b"\n" * (1 << 20)) * 64),
    ("json", lambda: _NESTED),
    ("json", lambda: b'{"flow":' * _DEEP),
    ("json", lambda: b'{"log":"' * 5_000),
    ("json", lambda: _event(uuid="x" * (8 << 20))),
    ("json", lambda: _event(labels=["k8s:a=b"] * 200_000)),
    ("json", lambda: b'{"flow": {"time": ' + b"9" * (1 << 20) + b"}}\n"),
    ("json", lambda: b"x\n" * 500_000),
    ("text", lambda: b"- " * 500_000),
    ("text", lambda: b"TIMESTAMP" + b" " * 500_000 + b"SOURCE\n"),
    ("frame", lambda: frames()[0] * 500),
    ("frame", lambda: b"\x0a" * _DEEP),
    ("frame", lambda: b"\x0b" * _DEEP),
    ("policies", _laughs),
    ("policies-judged", _laughs),
    ("policies-repaired", _laughs),
    ("policies", lambda: _NESTED),
    ("policies", lambda: b"- " * 5_000 + b"a"),
    ("policies", lambda: _POLICY % (b"", _NESTED)),
    ("policies", lambda: _POLICY % (b", labels: {a: " + b"9" * 300_000 + b"}", b"{}")),
    ("policies", lambda: b"---\n" * 20_000),
    ("policies-judged", _ranges),
    ("policies-judged", _selector),
    ("policies-repaired", _selector),
    ("hubble-config", lambda: b"server: " + _NESTED),
    ("kubeconfig", lambda: b"clusters: " + _NESTED),
    ("known-addresses", lambda: b"0.0.0.0/0 all\n::/0 all\n" * 5_000),
    ("api-server", lambda: _NESTED),
    ("redact-key", lambda: b"00" * (4 << 20)),
    ("redacted-texts", lambda: b"1." * 20_000 + b"ip6.arpa"),
    ("redacted-texts", lambda: b"10-" * 20_000 + b"a:" * 20_000),
    ("filters", lambda: b"--from-label 'k8s:a in (" + b"b," * 50_000 + b")'"),
    ("filters", lambda: b"--fqdn " + b"*a" * 20_000),
    ("filters", lambda: b"--http-path (((a*)*)*)*$" + b"(a{1,1000}){1,1000}" * 20),
    ("filters", lambda: b"--node-name " + b"*" * 20_000 + b"/x"),
    ("filters", lambda: b"--since " + b"9" * 50_000 + b"h"),
    ("flow-filters", lambda: _NESTED),
    ("flow-filters", lambda: b'{"experimental":{"cel_expression":["' + b"(" * 5_000 + b'"]}}'),
    ("questions", lambda: b"9" * 100_000 + b"/TCP\n1." + b"9" * 100_000),
    ("questions", lambda: b"k8s:a in (" + b"b" * 100_000),
)
"""Target -> an input that is small, or simple, for what it could cost."""


def main() -> int:
    """Read every bomb in this process; print what each took and return 1 where one took too much."""
    before = _peak()
    for name, made in BOMBS:
        data = made()
        with within(len(data)):
            TARGETS[name](data)
    taken = _peak() - before
    print(f"{len(BOMBS)} bombs, {taken >> 20} MB at most")
    return int(taken > MOST)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    sys.exit(main())
