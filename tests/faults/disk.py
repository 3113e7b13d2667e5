"""Faults of the disk: full, read-only, files that vanish, links that lead elsewhere. Outputs are whole or as they were."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.registry import fault
from tests.faults.running import POLICIES, SAMPLE, Done, contents, flowmine, litter

WRITERS: dict[str, list[str]] = {
    "recommend": ["-o", "OUT"],
    "recommend into": ["--into", "OUT"],
    "visibility": ["-n", "default", "-o", "OUT"],
    "capture": ["-d", "OUT"],
    "tail state": ["--state", "OUT"],
    "tail": ["--policies-out", "OUT"],
    "edges table": ["-d", "OUT"],
    "edges": ["-o", "csv", "-d", "OUT"],
    "edges parquet": ["-o", "parquet", "-d", "OUT"],
    "edges arrow": ["-o", "arrow", "-d", "OUT"],
    "drops": ["-o", "html", "-d", "OUT"],
    "simulate": ["--policies", str(POLICIES), "-o", "json", "-d", "OUT"],
    "explain": ["--policies", str(POLICIES), "-d", "OUT"],
    "report": ["-o", "OUT.html"],
    "report map": ["-o", "OUT.svg"],
    "report model": ["-o", "OUT.json"],
}
"""Every command that writes, with each way it has; OUT is where."""

FOLDERS = frozenset({"recommend", "recommend into", "visibility", "capture", "tail state", "tail"})
"""Those of them that write a folder."""


def writing(name: str, out: Path, largest: int | None = None) -> Done:
    """Run a command that writes."""
    args = [each.replace("OUT", str(out)) for each in WRITERS[name]]
    return flowmine(name.split()[0], "-q", *args, SAMPLE, largest=largest)


def place(name: str, out: Path) -> Path:
    """Return the path that a command writes to."""
    return Path(next(each for each in WRITERS[name] if "OUT" in each).replace("OUT", str(out)))


def is_told(name: str, done: Done, words: str) -> bool:
    """Tell whether a run failed with one line that has the words in it; `tail` goes on and tells an event instead."""
    if name == "tail":
        events = [json.loads(line) for line in done.out.splitlines()]
        return any("cannot" in each["problem"] for each in events if each["event"] == "problem")
    return done.code == 2 and len(done.lines) == 1 and "cannot" in done.err and words in done.err


@fault("disk full while a new output is written")
def full_disk_new(folder: Path) -> int:
    """Where there is no room, what was not there is not there, and the error is one line."""
    for name in WRITERS:
        home = folder / name.replace(" ", "-")
        home.mkdir()
        if name == "recommend into":
            (home / "out").mkdir()
        done = writing(name, home / "out", largest=300)
        assert is_told(name, done, "arge"), (name, done.code, done.err)
        assert [path for path in contents(home) if not path.endswith("capture.sql")] == [], name
        assert litter(home) == [], name
    return len(WRITERS)


@fault("disk full while an output is written again")
def full_disk_again(folder: Path) -> int:
    """What was there before is there still, byte for byte."""
    names = ("recommend", "edges", "report", "visibility", "tail")
    for name in names:
        home = folder / name
        home.mkdir()
        out = place(name, home / "out")
        if name in FOLDERS:
            (out / "default").mkdir(parents=True)
            (out / "default" / "mine.yaml").write_text("# mine\n")
            (out / "default" / "frontend.yaml").write_text("# of an earlier run\n")
        else:
            out.write_text("of an earlier run")
        before = contents(home)
        done = writing(name, home / "out", largest=300)
        assert is_told(name, done, "arge"), (name, done)
        assert (before, litter(home)) == (contents(home), []), name
    return len(names)


@contextlib.contextmanager
def small(folder: Path) -> Iterator[bool]:
    """Make a folder a disk of 64 kB where this user may; yield whether it is one."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)


@fault("a recording whose disk fills up, and goes on when there is room")
def full_disk_recording(folder: Path) -> int:
    """Windows that were finished stay and are read; with room again the recording goes on, and nothing is missing."""
    out = folder / "out"
    failed = flowmine("capture", "-q", SAMPLE, "-d", out, largest=20_000)
    assert failed.code == 2 and litter(out) == []
    assert flowmine("capture", "-q", SAMPLE, "-d", out).code == 0
    assert flowmine("edges", "-q", out, "-o", "csv").out == flowmine("edges", "-q", SAMPLE, "-o", "csv").out
    disk = folder / "disk"
    disk.mkdir()
    with small(disk) as is_small:
        if is_small:
            assert flowmine("capture", "-q", SAMPLE, "-d", disk / "out").code == 2
            assert flowmine("report", "-q", SAMPLE, "-o", disk / "page.html").code == 2
            assert [path for path in contents(disk) if not path.endswith("capture.sql")] == []
    return 3


@fault("a folder that may not be written")
def read_only_folder(folder: Path) -> int:
    """Every writer says so in one line, and where; nothing else happens."""
    with _forbidden(folder / "closed") as home:
        for name in WRITERS:
            done = writing(name, home / "out")
            assert is_told(name, done, str(home)), (name, done.code, done.err)
    return len(WRITERS)


@contextlib.contextmanager
def _forbidden(home: Path) -> Iterator[Path]:
    """Yield a folder that not even root may write: in /proc, where nobody is refused by a mode alone."""
    if os.geteuid() == 0:
        yield Path("/proc/self")
        return
    home.mkdir()
    home.chmod(0o500)
    try:
        yield home
    finally:
        home.chmod(0o700)


@fault("a symbolic link in an output folder that leads out of it")
def links_lead_out(folder: Path) -> int:
    """Neither a file nor a folder that a link names is written: the error says which link, and all else is left alone."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "frontend.yaml").write_text("precious")
    tried = 0
    for name in ("recommend", "recommend into", "visibility", "tail"):
        for kind in ("folder", "file"):
            out = folder / f"{name.replace(' ', '-')}-{kind}"
            out.mkdir()
            if kind == "folder":
                (out / "default").symlink_to(elsewhere)
            else:
                (out / "default").mkdir()
                (out / "default" / "frontend.yaml").symlink_to(elsewhere / "frontend.yaml")
            done = writing(name, out)
            assert {"frontend.yaml": b"precious"} == contents(elsewhere), name
            if (name, kind) != ("recommend into", "folder"):
                assert (done.code in (0, 2), litter(out)) == (True, []), (name, kind, done)
            tried += 1
    for name in ("edges", "report"):
        out = place(name, folder / f"link-{name}")
        out.symlink_to(elsewhere / "frontend.yaml")
        assert (0, False) == (writing(name, folder / f"link-{name}").code, out.is_symlink())
        assert {"frontend.yaml": b"precious"} == contents(elsewhere), name
        tried += 1
    return tried


@fault("a planted link where a temporary file would be")
def planted_links(folder: Path) -> int:
    """A recording's lock is not followed out of its folder."""
    out = folder / "out"
    out.mkdir()
    (out / ".lock").symlink_to(folder / "made")
    for name in ("capture", "tail state"):
        assert writing(name, out).code == 2
        assert not (folder / "made").exists()
    return 2


@fault("an output that is a device, or the current folder")
def odd_outputs(folder: Path) -> int:
    """/dev/null stays a device, /dev/stdout gets the data, and `-o .` writes into the folder one stands in."""
    assert flowmine("edges", "-q", SAMPLE, "-o", "csv", "-d", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()
    whole = flowmine("edges", "-q", SAMPLE, "-o", "csv").out
    assert whole == flowmine("edges", "-q", SAMPLE, "-o", "csv", "-d", "/dev/stdout").out
    assert flowmine("recommend", "-q", SAMPLE, "-o", ".", cwd=folder).code == 0
    assert (folder / "default" / "frontend.yaml").is_file() and litter(folder) == []
    return 3
