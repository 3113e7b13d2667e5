"""Faults of inputs: vanished, changed, unreadable, a thousand of them, and names that no shell is friends with."""

import gzip
import json
import os
import threading
import time
from pathlib import Path

from tests.faults.registry import fault
from tests.faults.running import POLICIES, SAMPLE, flowmine

NAMES: tuple[bytes, ...] = (
    b"with space.jsonl",
    b"new\nline.jsonl",
    b"\xff\xfe-no-utf8.jsonl",
    b"-rf.jsonl",
    b"--version",
    b"[a-z]*?.jsonl",
    b"$(touch made);`touch made`|&'\"\\.jsonl",
    b"\x1b[31mred\x07.jsonl",
    b"comma,semi;colon:.jsonl",
    b"caf\xc3\xa9\xe2\x80\xae.jsonl",
    b"~.jsonl",
    b"x" * 240 + b".jsonl",
)
"""File names, as bytes."""


def text() -> bytes:
    """Return the sample as JSON lines."""
    return gzip.decompress(SAMPLE.read_bytes())


@fault("file names with spaces, newlines, no UTF-8, leading dashes, control characters, shell words")
def odd_names(folder: Path) -> int:
    """Each is read when named, and in its folder; none is run, expanded, or obeyed by the terminal."""
    data, tried = text(), 0
    whole = flowmine("edges", "-q", SAMPLE, "-o", "csv").out
    for name in NAMES:
        home = folder / str(tried)
        home.mkdir()
        path = os.path.join(os.fsencode(home), name)  # noqa: PTH118 (bytes)
        with open(path, "wb") as stream:  # noqa: PTH123
            stream.write(data + b"bad line\n")
        for given in (path, name, os.fsencode(home)):
            done = flowmine("edges", "-v", "-o", "csv", "--", given, cwd=home)
            assert (0, whole) == (done.code, done.out), (name, done.err)
            assert "\x1b" not in done.err and "\x07" not in done.err, name
            assert any("not JSON" in line for line in done.lines), done.err
            tried += 1
        assert [name] == os.listdir(os.fsencode(home))  # noqa: PTH208
    return tried


@fault("output names with spaces, newlines, no UTF-8, leading dashes")
def odd_outputs(folder: Path) -> int:
    """Outputs go where they are told to, whatever that is called."""
    for number, name in enumerate((b"with space", b"new\nline", b"\xff\xfe", b"-rf", b"\x1b[31m")):
        home = folder / str(number)
        home.mkdir()
        for args in (
            [b"recommend", b"-q", b"-o", name],
            [b"edges", b"-q", b"-o", b"csv", b"-d", name + b".csv"],
            [b"report", b"-q", b"-o", name + b".html"],
            [b"capture", b"-q", b"-d", name + b".capture"],
        ):
            done = flowmine(*args, b"--", os.fsencode(SAMPLE), cwd=home)
            if args[0] == b"capture" and name == b"\xff\xfe":  # Arrow opens no such files, and says so
                assert 2 == done.code and "no UTF-8" in done.err, done.err
            else:
                assert 0 == done.code, (name, args)
        found = {each for each in os.listdir(os.fsencode(home)) if not each.endswith(b"\xfe.capture")}  # noqa: PTH208
        made = {name, name + b".csv", name + b".html", name + b".capture"}
        assert made - {b"\xff\xfe.capture"} == found
    return 20


@fault("a thousand input files")
def thousand_files(folder: Path) -> int:
    """They give what one file gives, named by their folder, by a pattern or one by one, with few files open at a time."""
    lines = text().splitlines(keepends=True)
    share = -(-len(lines) // 1000)
    for number in range(1000):
        (folder / f"part-{number:04}.jsonl").write_bytes(
            b"".join(lines[number * share : (number + 1) * share])
        )
    whole = flowmine("edges", "-q", SAMPLE, "-o", "csv").out
    named = [f"part-{number:04}.jsonl" for number in range(1000)]
    for given in ([str(folder)], [str(folder / "*.jsonl")], named):
        done = flowmine("edges", "-q", "-o", "csv", *given, cwd=folder)
        assert (0, whole) == (done.code, done.out), done.err[:500]
    return 1000


@fault("files that vanish, shrink or become unreadable between being found and being read")
def vanishing_files(folder: Path) -> int:
    """An answer is whole, or there is an error in one line that names the file; never a traceback."""
    data, tried = text() * 4, 0
    for delay in (0.3, 0.5, 0.7, 0.9, 1.1, 1.3):
        for fate in ("unlink", "truncate"):
            home = folder / f"{delay}-{fate}"
            home.mkdir()
            paths = [home / f"{number}.jsonl" for number in range(8)]
            for path in paths:
                path.write_bytes(data)
            ending = threading.Thread(target=_end, args=(paths, fate, delay))
            ending.start()
            done = flowmine("edges", "-o", "csv", home)
            ending.join()
            assert done.code in (0, 2), done
            if done.code == 2:
                assert len(done.lines) == 1 and str(home) in done.err, done.err
                assert done.out == b""
            tried += 1
    return tried


def _end(paths: list[Path], fate: str, delay: float) -> None:
    time.sleep(delay)
    for path in paths:
        if fate == "unlink":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:1000])


@fault("inputs that are folders, devices, sockets, loops of links, or not there at all")
def odd_inputs(folder: Path) -> int:
    """Each is refused in one line that names it."""
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "gone").symlink_to(folder / "nowhere")
    (folder / "empty").mkdir()
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to(folder / "deep")
    given = [
        "loop",
        "gone",
        "empty",
        "deep",
        "nosuch",
        "/dev/null/x",
        "x" * 5000,
        "",
        "\x00"[:0] + "*",
        "/proc/self/mem",
    ]
    lines = {
        "edges": [],
        "lint": [],
        "validate": [],
        "diff": [str(POLICIES)],
    }
    for name in given:
        for verb, more in lines.items():
            done = flowmine(verb, *more, "--", name, cwd=folder)
            no_policies = verb == "diff" and name in ("*", "empty", "deep")  # which is a set like any other
            assert done.code == 2 or (name == "*" and verb != "edges") or no_policies, (verb, name, done)
            assert done.code != 2 or [line for line in done.lines if line.startswith("flowmine: ")], done.err
    return len(given) * len(lines)


@fault("secrets in options, variables, files and addresses that do not work")
def secrets(folder: Path) -> int:
    """No password, token or key is in what a failing command prints, not even with -vv."""
    word = "hunter2-correct-horse"
    config = folder / "hubble.yaml"
    config.write_text(
        f"server: localhost:1\ntls: true\nbasic-auth-username: me\nbasic-auth-password: {word}\n"
    )
    broken = folder / "broken.yaml"
    broken.write_text(f"basic-auth-password: {word}\n  tls: [\n")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_KUBECONFIG.replace("WORD", word))
    half = folder / "half-kubeconfig"
    half.write_text(_KUBECONFIG.replace("WORD", word)[:-40] + "\t{[")
    key = folder / "key"
    key.write_text(f"{word}\n")
    basic = ["--basic-auth-username", "me"]
    with_password = [*basic, "--basic-auth-password", word]
    runs: list[tuple[list[str], dict[str, str]]] = [
        (["flows", "--server", "localhost:1", *with_password], {}),
        (["flows", "--server", "tls://localhost:1", *with_password], {}),
        (["flows", "--server", "localhost", "--tls", *with_password], {}),
        (["flows", "--server", f"tls://me:{word}@localhost:1"], {}),
        (["flows", "--server", f"https://me:{word}@localhost:1"], {}),
        (["flows", "--server", "tls://localhost:1", *basic], {"HUBBLE_BASIC_AUTH_PASSWORD": word}),
        (["flows", "--basic-auth-password", word, str(SAMPLE)], {}),
        (["flows"], {"HUBBLE_CONFIG": str(config)}),
        (["flows"], {"HUBBLE_CONFIG": str(broken)}),
        (["flows", "-P", "--kubeconfig", str(kubeconfig)], {}),
        (["flows", "-P", "--kubeconfig", str(half)], {}),
        (["lint", "--bogus", word, str(kubeconfig)], {}),
        (
            ["capture", str(SAMPLE), "-d", str(folder / "out"), "--redact", "ips", "--redact-key", str(key)],
            {},
        ),
    ]
    for args, environment in runs:
        for form in ("text", "json"):
            done = flowmine(args[0], *args[1:], "-vv", "--log-format", form, environment=environment)
            assert done.code == 2, (args, done)
            said = done.err.replace(" ".join(args), "")
            assert word not in said + done.out.decode(), (args, done.err)
            if form == "json" and "--bogus" not in args:
                assert all(json.loads(line)["level"] for line in done.lines), done.err
    return 2 * len(runs)


_KUBECONFIG = """apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://me:WORD@127.0.0.1:1"}}]
users: [{name: me, user: {token: WORD, password: WORD, username: me}}]
"""
