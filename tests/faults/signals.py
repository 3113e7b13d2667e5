"""Signals at any moment: no traceback, the shell's own exit code, no partial output, no child left."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.registry import fault
from tests.faults.running import SAMPLE, contents, flowmine, litter, signalled

LINES: dict[str, list[str]] = {
    "recommend": ["recommend", "-o", "OUT/made", "BIG"],
    "recommend into": ["recommend", "--into", "OUT", "BIG"],
    "capture": ["capture", "-d", "OUT/made", "BIG"],
    "report": ["report", "-o", "OUT/made.html", "BIG"],
    "tail": ["tail", "--state", "OUT/made", "--policies-out", "OUT/policies", "-o", "json", "BIG"],
    "edges": ["edges", "--jobs", "2", "-o", "parquet", "-d", "OUT/made.parquet", "BIG"],
}
"""What is broken off; OUT is an empty folder, BIG a capture that takes a while to read."""

CODES = {signal.SIGINT: (0, 130, -signal.SIGINT), signal.SIGTERM: (0, 143, -signal.SIGTERM)}
"""Signal -> exit codes: finished before it came, broken off, broken off before the first line of flowmine ran."""

_BEGUN = 0.35
"""Seconds within which Python itself starts: what comes before is not flowmine's."""


def moments(name: str, big: Path, folder: Path, count: int) -> list[float]:
    """Return moments at which to break a command off: spread over the time that it takes."""
    begun = time.monotonic()
    folder.mkdir()
    assert flowmine(*_args(name, folder, big)).code == 0
    whole = time.monotonic() - begun
    chance = random.Random(7)
    return [_BEGUN + (whole - _BEGUN) * (place + chance.random()) / count for place in range(count)]


def _args(name: str, out: Path, big: Path) -> list[str]:
    return [each.replace("OUT", str(out)).replace("BIG", str(big)) for each in LINES[name]]


def broken_off(folder: Path, number: int, count: int, check: Callable[[str, Path], None]) -> int:
    """Break every command off at so many moments; return how often that was done."""
    big = folder / "big.jsonl"
    big.write_bytes(b"".join(_renamed(place) for place in range(3)))
    tried = 0
    for name in LINES:
        for place, moment in enumerate(moments(name, big, folder / f"{name}-whole", count)):
            out = folder / f"{name}-{place}"
            out.mkdir()
            done = signalled(_args(name, out, big), moment, number)
            assert done.code in CODES[signal.Signals(number)], (name, moment, done)
            if done.code > 0:
                assert "Traceback" not in done.err, (name, moment, done.err)
                assert done.lines[-1].startswith("flowmine: "), (name, moment, done.err)
                assert "gnored" not in done.err, (name, moment, done.err)
                check(name, out)
            tried += 1
    return tried


def _renamed(place: int) -> bytes:
    import gzip

    return gzip.decompress(SAMPLE.read_bytes()).replace(b'"uuid":"', b'"uuid":"%d' % place)


def whole_or_absent(name: str, out: Path) -> None:
    """Fail where anything half-done is left: a temporary file, a window that cannot be read, some of the policies."""
    assert litter(out) == [], name
    made = contents(out)
    if name in ("recommend", "recommend into"):
        assert made == {} or flowmine("validate", out).code == 0
        assert made.keys() in (set(), contents(out.parent / f"{name}-whole").keys()), made.keys()
    elif name in ("capture", "tail") and any(path.endswith("manifest.json") for path in made):
        assert flowmine("edges", "-q", out / "made").code == 0
    elif name in ("report", "edges"):
        assert made == {}


@fault("Ctrl-C at any moment of recommend, capture, report, tail and edges with several processes")
def interrupted(folder: Path) -> int:
    """Exit 130, one line, whole outputs or none, no child left; each command at moments spread over its time."""
    return broken_off(folder, signal.SIGINT, 3, whole_or_absent)


@fault("SIGTERM at any moment, as Kubernetes sends it")
def terminated(folder: Path) -> int:
    """Exit 143, and else as with Ctrl-C."""
    return broken_off(folder, signal.SIGTERM, 1, whole_or_absent)


@fault("Ctrl-C again and again while it is cleaned up")
def impatient(folder: Path) -> int:
    """More of them change nothing: what is put back is put back."""
    from subprocess import DEVNULL, PIPE, Popen

    from tests.faults.running import command, surroundings

    (folder / "default").mkdir()
    (folder / "default" / "frontend.yaml").write_text("# mine\n")
    line = command(["recommend", "-o", str(folder), str(SAMPLE)])
    with Popen(line, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=surroundings()) as process:
        time.sleep(0.8)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        assert process.stderr is not None
        err = process.stderr.read().decode()
    assert process.returncode in (0, 130), (process.returncode, err)
    assert "Traceback" not in err, err
    assert litter(folder) == []
    assert len(contents(folder)) in (1, 4), contents(folder).keys()
    return 1
