"""Faults of streams: a pipe that closes, no terminal, odd locales, Windows' line ends, a clock that jumps."""

import gzip
import os
import subprocess
from pathlib import Path

from tests.faults.registry import fault
from tests.faults.running import NO_WRITER, SAMPLE, Done, command, contents, flowmine, litter, surroundings

ODD_LOCALES: tuple[dict[str, str], ...] = (
    {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "POSIX", "TERM": "dumb", "COLUMNS": "1"},
    {"LC_ALL": "no_SUCH.locale", "TERM": ""},
)


@fault("a pipe closed by who reads it (`| head -1`), every command that prints")
def closed_pipe(_: Path) -> int:
    """The command ends quietly: nothing on stderr but its summary, exit 141 or, where all was written already, its own."""
    for name, args in NO_WRITER.items():
        with subprocess.Popen(
            command([name, *args]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(),
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            first = process.stdout.read(1)
            process.stdout.close()
            err = process.stderr.read().decode()
            code = process.wait(60)
        done = Done(code, first, err).without_traceback()
        assert len(first) == 1 and done.code in (0, 1, 141), (name, done)
        assert not any(word in done.err for word in ("ignored", "Errno", "BrokenPipe")), (name, done.err)
    return len(NO_WRITER)


@fault("stdout closed before the command begins")
def pipe_without_reader(_: Path) -> int:
    """A pipe that nobody reads any more ends every command with exit 141 (or its own, where it prints nothing)."""
    for name, args in NO_WRITER.items():
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            command([name, *args]), stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE,
            env=surroundings(), timeout=60, check=False,
        )  # fmt: skip
        os.close(write)
        Done(done.returncode, b"", done.stderr.decode()).without_traceback()
        assert done.returncode == 141, (name, done.returncode, done.stderr)
    return len(NO_WRITER)


@fault("odd locales and terminals (LANG=C, ascii streams, one column)")
def odd_locales(_: Path) -> int:
    """What is printed is the same bytes, whatever the surroundings say."""
    tried = 0
    for name in ("recommend", "edges", "drops"):
        whole = flowmine(name, *NO_WRITER[name])
        for environment in ODD_LOCALES:
            found = flowmine(name, *NO_WRITER[name], environment=environment)
            assert (whole.code, whole.out) == (found.code, found.out), (name, environment)
            tried += 1
    return tried


@fault("no terminal, no stdin, no home folder")
def no_surroundings(folder: Path) -> int:
    """A command asks nothing of the surroundings that a container or a cron job does not have."""
    whole = flowmine("recommend", "-q", SAMPLE).out
    bare = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": surroundings()["PYTHONPATH"]}
    for stdin in (subprocess.DEVNULL, None):
        done = subprocess.run(
            command(["recommend", "-q", SAMPLE]),
            stdin=stdin,
            capture_output=True,
            cwd=folder,
            env=bare,
            check=False,
            close_fds=True,
            start_new_session=True,
        )
        assert (0, b"", whole) == (done.returncode, done.stderr, done.stdout)
    return 2


@fault("Windows' line ends, and byte order marks")
def line_ends(folder: Path) -> int:
    """The same flows come of the file, whoever saved it."""
    text = gzip.decompress(SAMPLE.read_bytes())
    whole = flowmine("edges", "-q", SAMPLE, "-o", "csv").out
    variants = {
        "windows.jsonl": text.replace(b"\n", b"\r\n"),
        "mark.jsonl": b"\xef\xbb\xbf" + text,
        "both.jsonl": b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
        "wide.jsonl": text.decode().encode("utf-16"),
    }
    for name, data in variants.items():
        (folder / name).write_bytes(data)
        assert whole == flowmine("edges", "-q", folder / name, "-o", "csv").out, name
    policies = folder / "windows.yaml"
    recommended = flowmine("recommend", "-q", SAMPLE).out
    policies.write_bytes(recommended.replace(b"\n", b"\r\n"))
    assert flowmine("validate", policies).code == 0
    assert (
        flowmine("diff", policies, "-", stdin=recommended).out.strip()
        == flowmine("diff", "-", policies, stdin=recommended).out.strip()
    )
    return len(variants) + 1


_JUMPING = """
import itertools, sys, time
steps = itertools.cycle([0.0, 5.0, -3600.0, 86400.0, -90000.0])
real, jump = time.time, [0.0]
def jumped():
    jump[0] += next(steps)
    return max(1.0, real() + jump[0])
time.time = jumped
time.time_ns = lambda: int(jumped() * 1e9)
from flowmine.cli import main
main()
"""


@fault("a clock that jumps back and forth, by hours, at every look")
def jumping_clock(folder: Path) -> int:
    """Windows are counted by a clock that does not jump, and named by the events' own times: nothing is lost or doubled."""
    lines = {
        "capture": ["capture", "-q", str(SAMPLE), "-d", str(folder / "capture"), "--window", "1s"],
        "tail": ["tail", "-q", str(SAMPLE), "--state", str(folder / "tail"), "--every", "1s", "-o", "json"],
    }
    whole = flowmine("edges", "-q", SAMPLE, "-o", "csv").out
    for name, args in lines.items():
        done = subprocess.run(
            [*command([])[:1], "-c", _JUMPING, *args], capture_output=True, env=surroundings(), timeout=120, check=False
        )  # fmt: skip
        Done(done.returncode, b"", done.stderr.decode()).without_traceback()
        assert (0, b"") == (done.returncode, done.stderr), done.stderr
        assert litter(folder) == [] and contents(folder / name)
        assert whole == flowmine("edges", "-q", folder / name, "-o", "csv").out, name
    return len(lines)
