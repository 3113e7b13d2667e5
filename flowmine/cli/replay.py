"""`flowmine replay`: serve a capture as hubble-relay would, for tests, demonstrations, and clusters that are not there."""

import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.inputs import Capture

if TYPE_CHECKING:
    from flowmine.ingest.replay import Replay, Tls

__all__ = ["replay"]


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--strict", is_flag=True, help="Make the first line that cannot be read an error.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on stderr.")
@click.option(
    "--listen",
    default="127.0.0.1:4245",
    show_default=True,
    metavar="ADDRESS",
    help="host:port, or unix:///path; port 0 takes a free one.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Let N events a second come, from the first stream on, instead of all before it.",
)
@click.option(
    "--repeat", type=click.IntRange(min=1), default=1, help="Send the capture so often, later each time."
)
@click.option(
    "--ring", type=click.IntRange(min=1), metavar="N", help="Keep only the newest N events of each node."
)
@click.option("--tls-cert", type=click.Path(), metavar="FILE", help="Serve TLS with this certificate (PEM).")
@click.option("--tls-key", type=click.Path(), metavar="FILE", help="The key of the certificate.")
@click.option(
    "--tls-client-ca", type=click.Path(), metavar="FILE", help="Let in clients of this authority only."
)
@click.option(
    "--fail",
    "faults",
    multiple=True,
    metavar="HOW@N",
    help="Fail once N events were sent: drop, stall, garbage, nonsense, refuse, end, restart, lose=NODE, regain=NODE.",
)
def replay(
    inputs: tuple[str, ...], strict: bool, quiet: bool, listen: str, faults: tuple[str, ...], **how: Any
) -> None:
    """Serve a capture as hubble-relay would.

    `hubble observe --server localhost:4245` and every flowmine command with `--server` read it like a cluster. A stream
    that follows begins with the oldest event, or with `--rate` where the time then is.
    """
    from flowmine.ingest.replay import Capture as Events
    from flowmine.ingest.replay import Pace, Replay
    from flowmine.ingest.replay.faults import fault_of

    tls = _tls(how["tls_cert"], how["tls_key"], how["tls_client_ca"])
    pace = Pace(how["rate"], how["repeat"], how["ring"])
    failing = [fault_of(text) for text in faults]
    with Capture(inputs, strict, quiet).reading(dedup=False) as reading:
        events = Events.read(reading.source)
        if events.skipped:
            reading.tell(f"{events.skipped:,} events cannot be sent, left out")
    with events, Replay(events, listen, tls=tls, pace=pace, faults=failing) as server:
        _announce(server, secure=tls is not None)
        _until_stopped()


def _tls(cert: str | None, key: str | None, client_ca: str | None) -> "Tls | None":
    """Return the TLS asked for; None where none is. Raise UsageError where a part is missing."""
    from flowmine.errors import UsageError
    from flowmine.ingest.replay import Tls

    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise UsageError("TLS takes both --tls-cert and --tls-key")
    return Tls(cert, key, client_ca)


def _announce(server: "Replay", *, secure: bool) -> None:
    nodes = len(server.timeline.capture.members)
    click.echo(
        f"serving {server.timeline.total:,} events of {nodes} node{'' if nodes == 1 else 's'} "
        f"at {'tls://' if secure else ''}{server.address} (Ctrl-C ends)",
        err=True,
    )


def _until_stopped() -> None:
    """Wait for Ctrl-C or SIGTERM, both the way to end a server: exit 0."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stopped.set())
    try:
        stopped.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
