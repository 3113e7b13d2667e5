"""Serialized flows to FLOWS batches, beside protobuf's own decoding; and how fast the replay server can be.

``python -m tests.bench.wire``. Everything reads the same generated capture in the same run, on one core:

- protobuf: `GetFlowsResponse.FromString`, and a dozen fields taken out, as a client would write by hand;
- flowmine: all columns of FLOWS with endpoints and ledger, and only those that edges are made of;
- the replay server on one core, read on another by flowmine's connection, only counting, and by a bare stub of grpcio.
"""

import multiprocessing
import os
import time
from typing import Any

import click

from tests.bench.edges import made
from tests.bench.measure import Measured, measure

_BATCH = 1 << 14
_SERVED = 4_000_000
_SECONDS = 8.0
"""How long a client counts."""


def _frames(path: str) -> list[bytes]:
    from flowmine.ingest import open_flows
    from flowmine.ingest.replay import Capture

    with Capture.read(open_flows(path, dedup=False)) as capture:
        return capture.frames(0, len(capture))


def _timed(path: str, work: Any) -> dict[str, float]:
    """Return flows a second of CPU time of work on all frames, the best of three, and bytes a flow."""
    frames = _frames(path)
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work(frames)
        best = min(best, time.process_time() - start)
    return {"rate": len(frames) / best, "bytes": sum(map(len, frames)) / len(frames), "flows": len(frames)}


def protobuf_parse(path: str) -> dict[str, float]:
    """Decode every message with protobuf, and look at nothing."""
    from flowmine.ingest.pb.observer_pb2 import GetFlowsResponse

    return _timed(path, lambda frames: [None for frame in frames if not GetFlowsResponse.FromString(frame)])


def protobuf_fields(path: str) -> dict[str, float]:
    """Decode every message with protobuf, and take what a plain table of flows would hold."""
    from flowmine.ingest.pb.observer_pb2 import GetFlowsResponse

    def take(frame: bytes) -> tuple[Any, ...]:
        flow = GetFlowsResponse.FromString(frame).flow
        ip, l4, source, destination = flow.IP, flow.l4, flow.source, flow.destination
        ports = l4.TCP if l4.HasField("TCP") else l4.UDP
        return (
            *(flow.time.seconds, flow.time.nanos, flow.uuid, flow.verdict, flow.node_name, flow.Type),
            *(ip.source, ip.destination, ports.source_port, ports.destination_port),
            *(source.namespace, source.pod_name, tuple(source.labels)),
            *(destination.namespace, destination.pod_name, tuple(destination.labels)),
            *(flow.traffic_direction, flow.is_reply.value, flow.event_type.type),
        )

    return _timed(path, lambda frames: [None for frame in frames if not take(frame)])


def flowmine_all(path: str) -> dict[str, float]:
    """Decode into all columns."""
    from flowmine.schema import FLOWS

    return _flowmine(path, FLOWS.names)


def flowmine_edges(path: str) -> dict[str, float]:
    """Decode into the columns that edges are made of."""
    from flowmine.edges import COLUMNS

    return _flowmine(path, COLUMNS)


def _flowmine(path: str, columns: Any) -> dict[str, float]:
    from flowmine.ingest.wire import Decoder
    from flowmine.ledger import Ledger

    def decode(frames: list[bytes]) -> None:
        decoder = Decoder("bench", Ledger(), columns=columns)
        for place in range(0, len(frames), _BATCH):
            decoder.batch(frames[place : place + _BATCH])
        decoder.end()

    return _timed(path, decode)


def serve(path: str, repeat: int, told: Any, until: Any) -> None:
    """Serve a capture several times over, until told to stop."""
    from flowmine.ingest import open_flows
    from flowmine.ingest.replay import Pace, Replay

    with Replay(open_flows(path, dedup=False), pace=Pace(repeat=repeat)) as server:
        told.put(server.address)
        until.get()


def counted(address: str, masked: bool) -> float:
    """Return messages a second that a client which only counts gets from a server."""
    from flowmine.ingest.pb.observer_pb2 import GetFlowsRequest
    from flowmine.ingest.relay.address import Server
    from flowmine.ingest.relay.connection import Connection
    from flowmine.ingest.relay.request import MASKS
    from flowmine.schema import FLOWS

    request = GetFlowsRequest()
    request.field_mask.paths.extend(MASKS[0](FLOWS.names) if masked else ())
    connection = Connection(Server(address))
    count, start = 0, time.perf_counter()
    call = connection.call("/observer.Observer/GetFlows", request.SerializeToString())
    while (seconds := time.perf_counter() - start) < _SECONDS and (messages := call.take(1.0)) is not None:
        count += len(messages)
    connection.close()
    return count / seconds


def counted_by_grpcio(address: str) -> float:
    """Return messages a second that a bare stub of grpcio gets, undecoded."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        count, start = 0, time.perf_counter()
        call = channel.unary_stream("/observer.Observer/GetFlows")(b"")
        for _ in call:
            count += 1
            if not count % 1000 and time.perf_counter() - start > _SECONDS:
                break
        call.cancel()
        return count / (time.perf_counter() - start)


def _line(name: str, got: Measured, base: Measured) -> str:
    ratio = got.returned["rate"] / base.returned["rate"]
    return f"{name:<38} {got.returned['rate']:12,.0f} flows/s {ratio:6.1f}x {got.peak / 1e6:7.0f} MB peak"


@click.command(help=__doc__)
@click.option("--flows", default=200_000, show_default=True, help="Size of the capture.")
def main(flows: int) -> None:
    """Print all contenders, each beside protobuf's decoding."""
    path = str(made(flows))
    cores = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
    base = measure("tests.bench.wire", "protobuf_fields", path, cores=cores)
    size = base.returned["bytes"]
    click.echo(f"{base.returned['flows']:,.0f} messages of {size:,.0f} bytes, decoded on one core")
    click.echo(_line("protobuf, a dozen fields taken", base, base))
    for name, function in (
        ("protobuf, nothing taken", "protobuf_parse"),
        ("flowmine, all columns of FLOWS", "flowmine_all"),
        ("flowmine, the columns of edges", "flowmine_edges"),
    ):
        click.echo(_line(name, measure("tests.bench.wire", function, path, cores=cores), base))
    _ceiling(path, max(1, _SERVED // flows))


def _ceiling(path: str, repeat: int) -> None:
    """Print what the replay server can send, read by clients that only count for a while."""
    context = multiprocessing.get_context("spawn")
    told, until = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(path, repeat, told, until))
    server.start()
    address = told.get()
    click.echo("the replay server, read by a client that only counts")
    click.echo(f"{'whole messages':<38} {counted(address, False):12,.0f} flows/s")
    counted(address, True)  # the first time masks are applied
    click.echo(f"{'with a field mask':<38} {counted(address, True):12,.0f} flows/s")
    click.echo(f"{'whole, by a bare stub of grpcio':<38} {counted_by_grpcio(address):12,.0f} flows/s")
    until.put(None)
    server.join()


if __name__ == "__main__":
    main()
