"""What the tests of live servers share: numbered events of several nodes, quick timing, certificates of their own."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowmine.ingest.relay import Relay, RelayOptions, Server, Timing, open_relay
from flowmine.ingest.replay import Capture
from tests.ingest.making import record

QUICK = Timing(connect=5, answer=1, watch=0.3, first_wait=0.02, longest_wait=0.1, attempts=3)
"""Timing for servers on this computer."""


def stamp(number: int, step: float = 0.05) -> str:
    """Return the time of an event by number, ``step`` seconds after the one before."""
    seconds = number * step
    whole = int(seconds)
    return (
        f"2026-11-18T{9 + whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}."
        f"{round(seconds % 1 * 10**9):09d}Z"
    )


def events(count: int, nodes: int = 2, **changes: Any) -> Capture:
    """Return a capture of so many flows, which the nodes saw in turn."""
    return Capture(
        record(number, time=stamp(number), node_name=f"default/node-{number % nodes}", **changes)
        for number in range(count)
    )


def relay(address: str | Server, *, columns: Iterable[str] | None = None, **options: Any) -> Relay:
    """Open a server with quick timing."""
    server = address if isinstance(address, Server) else Server(address)
    chosen = RelayOptions(**{"timing": QUICK, **options})
    return open_relay(server, columns=None if columns is None else tuple(columns), options=chosen)


def uuids(source: Relay) -> list[str]:
    """Read a source to its end; return the uuids in the order of reading."""
    return [uuid for batch in source.batches() for uuid in batch.column("uuid").to_pylist()]


def read_until(source: Relay, count: int) -> list[str]:
    """Read a stream that is followed until so many events have come, then stop it; return the uuids."""
    found: list[str] = []
    for batch in source.batches():
        found += batch.column("uuid").to_pylist()
        if len(found) >= count:
            source.stop()
    return found


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a folder."""

    folder: Path

    @property
    def ca(self) -> str:
        """The authority's own certificate."""
        return str(self.folder / "ca.crt")

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """Make one."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder)
        made._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt",
        )  # fmt: skip
        return made

    def issue(self, name: str, alternatives: str, *, days: int = 2) -> tuple[str, str]:
        """Issue a certificate for some names (``DNS:a,IP:1.2.3.4``); return the paths of it and of its key."""
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", str(days), "-extfile", extensions.name, "-out", f"{name}.crt",
        )  # fmt: skip
        return str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)
