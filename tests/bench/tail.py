"""Following a live server at full rate: ``python -m tests.bench.tail --flows 20000000``.

A replay server in a process of its own sends a generated capture over and over, each time later, as fast as it is read.
`flowmine tail` follows it with state, to the last event, beside clients that only count: flowmine's own connection and
a bare stub of grpcio. Printed are events a second, whether all of them arrived once, and memory at each tenth of the way.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tests.bench.edges import made
from tests.bench.measure import Measured, measure
from tests.bench.wire import counted, counted_by_grpcio, serve

_TENTHS = 10


def resident() -> int:
    """Return the resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def follow(address: str, state: str, flows: str) -> dict[str, Any]:
    """Follow a server until so many events have come, as the command does; return what became of them."""
    from flowmine.cli.running import BATCH_ROWS, give_memory_back
    from flowmine.edges import COLUMNS
    from flowmine.ingest.capturewindow import Folder
    from flowmine.ingest.relay import RelayOptions, Server, open_relay
    from flowmine.live.feed import Feed
    from flowmine.live.state import Store, load
    from flowmine.live.tail import Every, Tail

    give_memory_back()
    total, memory = int(flows), []
    options = RelayOptions(follow=True, tick=1.0, batch_rows=BATCH_ROWS)
    source = open_relay(Server(address), columns=(*COLUMNS, "node_name"), options=options)
    with Folder(Path(state)) as folder:
        tail = Tail(
            feed := Feed(source), Every(), before=load(folder), store=Store(folder, clock=time.monotonic)
        )

        def enough() -> bool:
            while feed.flows * _TENTHS >= total * (len(memory) + 1) and len(memory) < _TENTHS:
                memory.append(resident())
            return feed.flows >= total

        start = time.perf_counter()
        for tick in tail.ticks(enough):
            last = tick
        seconds = time.perf_counter() - start
    return {
        "rate": feed.flows / seconds,
        "flows": feed.flows,
        "duplicates": last.tally.duplicates,
        "gaps": last.tally.gaps,
        "lost": sum(last.tally.lost.values()),
        "edges": last.tally.edges,
        "memory": memory,
    }


def count(address: str) -> dict[str, float]:
    """Count with flowmine's own connection."""
    return {"rate": counted(address, True)}


def count_by_grpcio(address: str) -> dict[str, float]:
    """Count with a bare stub of grpcio."""
    return {"rate": counted_by_grpcio(address)}


@contextmanager
def served(path: Path, repeat: int) -> Iterator[str]:
    """Serve a capture so often, in a process of its own; yield the address."""
    context = multiprocessing.get_context("spawn")
    told, until = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(str(path), repeat, told, until))
    server.start()
    try:
        yield told.get(timeout=300)
    finally:
        until.put(None)
        server.join(30)


def _line(name: str, got: Measured, base: Measured) -> str:
    rate = got.returned["rate"]
    share = rate / base.returned["rate"]
    return f"{name:<40} {rate:10,.0f} flows/s {share:6.2f}x {got.peak / 1e6:6.0f} MB peak"


@click.command(help=__doc__)
@click.option("--flows", default=20_000_000, show_default=True, help="How many events to follow.")
@click.option("--capture", default=200_000, show_default=True, help="Size of the capture that is repeated.")
def main(flows: int, capture: int) -> None:
    """Print the contenders, each beside the counting client."""
    path = made(capture)
    repeat = max(1, -(-flows // capture))
    with tempfile.TemporaryDirectory() as state:
        with served(path, min(repeat, 10)) as address:
            base = measure("tests.bench.tail", "count", address)
        with served(path, min(repeat, 10)) as address:
            grpcio = measure("tests.bench.tail", "count_by_grpcio", address)
        with served(path, repeat + 1) as address:
            tail = measure("tests.bench.tail", "follow", address, state, str(flows))
        size = sum(each.stat().st_size for each in Path(state).rglob("*") if each.is_file())
    click.echo(_line("a client that only counts", base, base))
    click.echo(_line("a bare stub of grpcio, only counting", grpcio, base))
    click.echo(_line("flowmine tail, with state", tail, base))
    found = tail.returned
    click.echo(
        f"{found['flows']:,} flows followed: {found['duplicates']:,} twice, {found['gaps']:,} gaps, {found['lost']:,} lost, "
        f"{found['edges']:,} edges, {size / 1e6:,.1f} MB of state"
    )
    told = " ".join(f"{each / 1e6:.0f}" for each in found["memory"])
    click.echo(f"memory at each tenth of the way: {told} MB")


if __name__ == "__main__":
    main()
