"""The sessions in README.md and flowmine/docs: run command by command in a folder of their own, as a reader would.

A block of `console` holds commands (``$ ``) and what they print; a block of `python` runs as it stands, after the sessions
of its page, in the same folder. What a block needs beside `sample_flows` its fence says:

```console server              commands with --server localhost:4245 reach a replay of sample_flows/three-tier
```console server=linkding     ... of another sample
```console cluster             --from-cluster finds the policies of sample_flows/three-tier, -P a relay (its replay)
```console cluster=linkding    ... of another sample

A command that ends with ``&`` goes on until the page's end; the next one waits until it listens. A block of `sh` is not
run: it is for what only a real cluster or an empty machine can do.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path

from tests.docs.places import ROOT, clustered, end, free_port, listens, replayed

__all__ = ["Block", "Shell", "blocks", "differences", "opened", "rewritten"]

SAMPLE = "three-tier"
_FENCE = re.compile(
    r"^ *(?P<fence>`{3,})(?P<kind>\w+)(?P<needs>[^\n`]*)\n(?P<text>.*?)^ *(?P=fence)$", re.M | re.S
)
_ADDRESS = re.compile(r"localhost:(\d+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its kind (console, python), what it needs, and its text."""

    kind: str
    needs: tuple[tuple[str, str], ...]
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a session, continued lines joined."""
        joined = self.text.replace("\\\n", "")
        return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    return [_block(found) for found in _FENCE.finditer(page)]


def rewritten(page: str, shell: "Shell") -> str:
    """Return a page with what the commands of its sessions print now."""

    def fresh(found: re.Match[str]) -> str:
        block = _block(found)
        if block.kind != "console":
            return found[0]
        return f"{found['fence']}console{found['needs']}\n{shell.session(block)}{found['fence']}"

    return _FENCE.sub(fresh, page)


def differences(shown: str, made: str) -> list[str]:
    """Return the lines in which two texts of a page differ."""
    compared = unified_diff(shown.splitlines(), made.splitlines(), "shown", "happens", lineterm="", n=1)
    return list(compared)


def _block(found: re.Match[str]) -> Block:
    needs = (need.partition("=") for need in found["needs"].split())
    return Block(found["kind"], tuple((name, value or SAMPLE) for name, _, value in needs), found["text"])


@dataclass
class Shell:
    """Runs what a page shows in one folder; its servers are real ones on ports of their own."""

    folder: Path
    stack: ExitStack
    ports: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    replays: dict[str, int] = field(default_factory=dict)
    clusters: dict[str, Path] = field(default_factory=dict)

    def session(self, block: Block) -> str:
        """Run the commands of a block and return it with what they print now."""
        self._provide(block)
        made, waiting = [], ""
        for line in block.text.splitlines(keepends=True):
            if not (waiting or line.startswith("$ ")):
                continue
            made.append(line)
            waiting += line
            if not line.endswith("\\\n"):
                made.append(self.run(waiting[2:].replace("\\\n", "")))
                waiting = ""
        return "".join(made)

    def run(self, command: str) -> str:
        """Run one command line of bash and return what it prints, on both streams."""
        command = command.strip()
        if command.endswith("&"):
            self._start(command[:-1])
            return ""
        done = subprocess.run(
            ["bash", "-c", self._placed(command)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        return self._named(done.stdout)

    def script(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder."""
        return subprocess.run(
            [sys.executable, "-c", self._placed(text)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def _provide(self, block: Block) -> None:
        """Start what a block needs and has not yet."""
        for name, sample in block.needs:
            if name == "server":
                self.ports["4245"] = self._replay(sample)
            elif name == "cluster":
                self.environment["KUBECONFIG"] = str(self._cluster(sample))
            else:
                raise ValueError(f"a block that needs {name!r} cannot be run (known: server, cluster)")

    def _replay(self, sample: str) -> int:
        if sample not in self.replays:
            self.replays[sample] = self.stack.enter_context(replayed(ROOT / "sample_flows" / sample))
        return self.replays[sample]

    def _cluster(self, sample: str) -> Path:
        if sample not in self.clusters:
            home = self.folder / f".kube-{sample}"
            home.mkdir()
            policies = ROOT / "sample_flows" / sample / "policies"
            self.clusters[sample] = self.stack.enter_context(clustered(policies, home, self._replay(sample)))
        return self.clusters[sample]

    def _start(self, command: str) -> None:
        """Start a command that goes on, and wait until it listens where it says."""
        for port in _ADDRESS.findall(command):
            self.ports[port] = free_port()
        running = subprocess.Popen(
            ["bash", "-c", f"exec {self._placed(command)}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        self.stack.callback(end, running)
        for port in _ADDRESS.findall(command):
            listens(self.ports[port], running)

    def _placed(self, text: str) -> str:
        """Put the ports that are listened at for those that the page names."""
        return _ADDRESS.sub(lambda found: f"localhost:{self.ports.get(found[1], found[1])}", text)

    def _named(self, text: str) -> str:
        """Put the ports that the page names back."""
        for named, real in self.ports.items():
            text = re.sub(rf"(localhost|127\.0\.0\.1):{real}\b", f"localhost:{named}", text)
        return text


@contextmanager
def opened(folder: Path) -> Iterator[Shell]:
    """Give a shell in an empty folder that holds what a clone's root holds; its servers end with the block."""
    (folder / "sample_flows").symlink_to(ROOT / "sample_flows")
    tools = folder / ".bin"
    tools.mkdir()
    for name, line in (("flowmine", "-m flowmine"), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {line} "$@"\n')
        tool.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HUBBLE_") and "PROXY" not in k.upper()}
    environment = kept | {
        "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]),
        "HOME": str(folder),
        "COLUMNS": "120",
        "TZ": "UTC",
        "PYTHONPATH": str(ROOT),
        "KUBECONFIG": "",
    }
    with ExitStack() as stack:
        yield Shell(folder, stack, environment=environment)
