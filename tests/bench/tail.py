"""Following a live server at full rate: ``python -m tests.bench.tail --flows 20000000``.

A server in a process of its own sends a generated capture over and over, each time later and under new uuids, as fast
as it is read (`tests.bench.feeder`). `flowmine tail` follows it with state, to the last event, beside clients that only
count what they get of the same fields: a bare stub of grpcio, and flowmine's own connection. Printed are events a second
of wall clock and of one core's time, whether all of them arrived once, and memory at each tenth of the way.
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

_TENTHS = 10
_RATE = 6
"""Flows a second of the capture: the slower, the more hours go by, and the more state there is to keep."""


def resident() -> int:
    """Return the resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def follow(address: str, state: str, flows: str) -> dict[str, Any]:
    """Follow a server until so many events have come, as the command does; return what became of them."""
    from flowmine.arrow import for_commands

    for_commands()
    from flowmine.cli.running import BATCH_ROWS, give_memory_back
    from flowmine.edges import COLUMNS
    from flowmine.ingest.capturewindow import Folder
    from flowmine.ingest.relay import RelayOptions, Server, open_relay
    from flowmine.live.feed import Feed
    from flowmine.live.state import Store, load
    from flowmine.live.tail import Every, Tail

    give_memory_back()
    total = int(flows)
    memory: list[int] = []
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

        start, before = time.perf_counter(), time.process_time()
        for tick in tail.ticks(enough):
            last = tick
        rates = _rates(feed.flows, start, before)
    return {
        **rates,
        "duplicates": last.tally.duplicates,
        "gaps": last.tally.gaps,
        "lost": sum(last.tally.lost.values()),
        "edges": last.tally.edges,
        "memory": memory,
    }


def _request() -> bytes:
    """Return what `tail` asks for."""
    from flowmine.edges import COLUMNS
    from flowmine.ingest.filters import Selection
    from flowmine.ingest.relay.request import MASKS, flows_request

    return flows_request(Selection(), follow=False, mask=MASKS[0]({*COLUMNS, "node_name"}))


def count(address: str) -> dict[str, float]:
    """Count with a bare stub of grpcio, its fastest way of reading."""
    import grpc.experimental

    options = [(grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)]
    with grpc.insecure_channel(address, options) as channel:
        start, before = time.perf_counter(), time.process_time()
        flows = sum(1 for _ in channel.unary_stream("/observer.Observer/GetFlows")(_request()))
        return _rates(flows, start, before)


def count_by_connection(address: str) -> dict[str, float]:
    """Count with flowmine's own connection."""
    from flowmine.ingest.relay.address import Server
    from flowmine.ingest.relay.connection import Connection

    connection = Connection(Server(address))
    flows, start, before = 0, time.perf_counter(), time.process_time()
    call = connection.call("/observer.Observer/GetFlows", _request())
    while (messages := call.take(1.0, 0.1)) is not None:
        flows += len(messages)
    connection.close()
    return _rates(flows, start, before)


def _rates(flows: int, start: float, before: float) -> dict[str, float]:
    """Return flows a second since two readings of the clocks, of wall time and of the process's own."""
    seconds, busy = time.perf_counter() - start, time.process_time() - before
    return {"flows": flows, "rate": flows / seconds, "busy": flows / busy}


@contextmanager
def served(path: Path, flows: int) -> Iterator[str]:
    """Serve so many flows, in a process of its own; yield the address."""
    # not at the top: it imports Arrow, which a client must not before it says how it uses it (`for_commands`)
    from tests.bench.feeder import serve

    context = multiprocessing.get_context("spawn")
    told, until = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(str(path), flows, told, until))
    server.start()
    try:
        yield told.get(timeout=300)
    finally:
        until.put(None)
        server.join(30)


def _line(name: str, got: Measured, base: Measured) -> str:
    found, bare = got.returned, base.returned
    return (
        f"{name:<36} {found['rate']:9,.0f} flows/s ({found['rate'] / bare['rate']:.2f}x) {found['busy']:9,.0f} a core "
        f"({found['busy'] / bare['busy']:.2f}x) {got.peak / 1e6:5.0f} MB peak"
    )


@click.command(help=__doc__)
@click.option("--flows", default=20_000_000, show_default=True, help="How many events to follow.")
@click.option(
    "--counted", default=2_000_000, show_default=True, help="How many the clients count that only count."
)
@click.option("--capture", default=50_000, show_default=True, help="Size of the capture that is repeated.")
def main(flows: int, counted: int, capture: int) -> None:
    """Print the contenders, each beside the counting client."""
    path = made(capture, _RATE)
    with tempfile.TemporaryDirectory() as state:
        with served(path, counted) as address:
            bare = measure("tests.bench.tail", "count", address)
        click.echo(_line("a bare stub of grpcio, only counting", bare, bare))
        with served(path, counted) as address:
            own = measure("tests.bench.tail", "count_by_connection", address)
        click.echo(_line("flowmine's connection, only counting", own, bare))
        with served(path, flows) as address:
            tail = measure("tests.bench.tail", "follow", address, state, str(flows))
        size = sum(each.stat().st_size for each in Path(state).rglob("*") if each.is_file())
    click.echo(_line("flowmine tail, with state", tail, bare))
    found = tail.returned
    click.echo(
        f"{found['flows']:,} of {flows:,} flows followed: {found['duplicates']:,} twice, {found['gaps']:,} gaps, "
        f"{found['lost']:,} lost, {found['edges']:,} edges, {size / 1e6:,.1f} MB of state"
    )
    told = " ".join(f"{each / 1e6:.0f}" for each in found["memory"])
    click.echo(f"memory at each tenth of the way: {told} MB")


if __name__ == "__main__":
    main()
