"""`flowmine doctor`: what is installed, what the server and the cluster answer, and whether captures have gaps to come."""

import json
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from flowmine import __version__
from flowmine.cli.exitcodes import FailOn, fails_on
from flowmine.cli.installed import extras, packages, requirements
from flowmine.cli.running import seconds
from flowmine.cli.serveroptions import Live, connection_options
from flowmine.cli.window import Window
from flowmine.errors import InputError, UsageError

if TYPE_CHECKING:
    from flowmine.advise.checkup import Check
    from flowmine.advise.pace import Pace
    from flowmine.cluster.examine import Exporter

__all__ = ["doctor"]

_NEWEST = (3, 14)
_OF_DEVELOPERS = frozenset({"bench", "test"})


@click.command(short_help="Check what is installed, and what server and cluster answer.")
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@connection_options
@click.option(
    "--from-cluster",
    is_flag=True,
    help="Ask the cluster too: which rights there are, how Cilium and its exporter are set (needs flowmine[k8s]).",
)
@click.option(
    "--context",
    metavar="NAME",
    help="With --from-cluster: the kubeconfig's context (default: the current).",
)
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="With --from-cluster or -P: the kubeconfig (default: as kubectl's).",
)
@click.option(
    "--interval",
    callback=seconds,
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="How long lies between two collections of the exporter's files.",
)
@click.option(
    "--exporter-file-max-size-mb",
    "size_mb",
    type=click.IntRange(min=1),
    metavar="N",
    help="At which size the exporter rotates its file (the agent's own default is 10).",
)
@click.option(
    "--exporter-file-max-backups",
    "backups",
    type=click.IntRange(min=0),
    metavar="N",
    help="How many rotated files are kept, 0 for all (the agent's own default is 5).",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or one JSON object.",
)
@fails_on("doctor")
def doctor(
    inputs: tuple[str, ...],
    from_cluster: bool,
    context: str | None,
    interval: float,
    size_mb: int | None,
    backups: int | None,
    output: str,
    failing: FailOn,
    **connection: Any,
) -> int:
    """Check what is installed, what a server and a cluster answer, and whether the exporter keeps flows long enough.

    INPUT, files of the exporter, tells how fast each node writes; without them --server does. The exporter's settings come
    from the options, or with --from-cluster from cilium-config. Every finding says what to do. Exit 1: there is a problem.
    """
    if context and not from_cluster:
        raise UsageError("--context says which cluster to read: give --from-cluster too")
    given = _given(size_mb, backups)
    checks = list(_installed())
    paces = _captures(inputs, checks)
    of_server = _server(connection, checks)
    found = _cluster(context, connection, checks) if from_cluster else []
    exporters = [given] if given else found
    _exporters(exporters, paces or of_server, interval, checks)
    _show(checks, output)
    levels = Counter(str(check.level) for check in checks)
    return failing.code({"problem": levels["problem"], "note": levels["note"] + levels["problem"]})


def _given(size_mb: int | None, backups: int | None) -> "Exporter | None":
    from flowmine.cluster.examine import Exporter

    if size_mb is None and backups is None:
        return None
    agents = Exporter("as given")
    return replace(
        agents,
        size_mb=agents.size_mb if size_mb is None else size_mb,
        backups=agents.backups if backups is None else backups,
    )


def _installed() -> Iterator["Check"]:
    """Yield what is installed: the interpreter, the core's packages, the extras."""
    from flowmine.advise.checkup import Check, Level

    found = packages(requirements())
    core = [each for each in found if not each.extra]
    wrong = [each for each in core if not each.version or each.is_too_old]
    python = platform.python_version()
    if not found:
        yield Check(Level.NOTE, "installed", "flowmine's own metadata is missing", "install it with pip")
    for each in wrong:
        yield Check(
            Level.PROBLEM,
            "installed",
            f"{each.name} {each.version or 'is not installed'}{f', below {each.floor}' if each.version else ''}",
            f"pip install '{each.name}>={each.floor}'" if each.floor else f"pip install {each.name}",
        )
    newer = sys.version_info[:2] > _NEWEST
    yield Check(
        Level.NOTE if newer else Level.OK,
        "installed",
        f"flowmine {__version__} on Python {python}, {len(core) - len(wrong)} of {len(core)} packages of the core",
        f"flowmine is tested up to Python {'.'.join(map(str, _NEWEST))}" if newer else "",
    )
    here = []
    for name, members in extras(found).items():
        if name in _OF_DEVELOPERS:
            continue
        lacking = [each.name for each in members if not each.version or each.is_too_old]
        if lacking:
            yield Check(
                Level.OK,
                "installed",
                f"extra {name} is not (lacking {', '.join(lacking)})",
                f"pip install 'flowmine[{name}]', where it is needed",
            )
        else:
            here.append(name)
    if here:
        yield Check(Level.OK, "installed", f"extras: {', '.join(here)}")


def _captures(inputs: tuple[str, ...], checks: list["Check"]) -> Sequence["Pace"]:
    """Read captures for the pace of their nodes. Raise InputError where one cannot be read."""
    from flowmine.advise.checkup import Check, Level, rate
    from flowmine.advise.pace import COLUMNS, paces_of_capture
    from flowmine.ingest import open_flows

    if not inputs:
        return ()
    paces = paces_of_capture(open_flows(*inputs, columns=COLUMNS))
    if not paces:
        raise InputError(f"{' '.join(inputs)}: there are no flows in it to take a rate from")
    busiest = paces[0]
    checks.append(
        Check(
            Level.OK,
            "rate",
            f"{len(paces):,} node{'' if len(paces) == 1 else 's'}; the busiest is {busiest.node or 'unnamed'}: "
            f"{rate(busiest.mean)} flows/s, {rate(busiest.busiest)} in its busiest hour",
            figures={
                "nodes": len(paces),
                "mean": round(busiest.mean, 3),
                "busiest": round(busiest.busiest, 3),
            },
        )
    )
    return paces


def _server(connection: dict[str, Any], checks: list["Check"]) -> Sequence["Pace"]:
    """Ask the server that options, variables or Hubble's configuration name; what it does not answer is a problem."""
    from flowmine.advise.checkup import Check, Level, server_checks
    from flowmine.advise.pace import pace_of_status
    from flowmine.ingest.filters import Selection
    from flowmine.ingest.relay.session import Session, Timing
    from flowmine.ingest.relay.settings import KEYS, settings

    found = settings({key: connection.get(key.replace("-", "_")) for key in KEYS})
    if not found.get("port-forward") and not found.get("server"):
        return ()
    try:
        with Live(found, Window(Selection(), False)).server() as server:
            session = Session(server, bytes, follow=False, timing=Timing())
            try:
                status = session.connect()
            finally:
                session.close()
    except InputError as error:
        checks.append(
            Check(Level.PROBLEM, "server", str(error), "flowmine help server says how it is reached")
        )
        return ()
    checks += server_checks(server.address, status)
    return pace_of_status(status)


def _cluster(context: str | None, connection: dict[str, Any], checks: list["Check"]) -> list["Exporter"]:
    """Ask the cluster; one that cannot be reached is a problem."""
    from flowmine.advise.checkup import Check, Level, cluster_checks
    from flowmine.cluster.examine import examine

    namespace = connection.get("kube_namespace") or "kube-system"
    try:
        examined = examine(connection.get("kubeconfig"), context, namespace)
    except InputError as error:
        checks.append(Check(Level.PROBLEM, "cluster", str(error)))
        return []
    checks += cluster_checks(examined)
    return list(examined.exporters)


def _exporters(
    exporters: list["Exporter"], paces: Sequence["Pace"], interval: float, checks: list["Check"]
) -> None:
    from flowmine.advise.checkup import exporter_checks

    for exporter in exporters:
        checks += exporter_checks(exporter, paces, interval)


def _show(checks: list["Check"], output: str) -> None:
    if output == "json":
        counts = Counter(str(check.level) for check in checks)
        rows = [{**asdict(check), "level": str(check.level)} for check in checks]
        click.echo(
            json.dumps({"problems": counts["problem"], "notes": counts["note"], "checks": rows}, indent=2)
        )
        return
    for check in checks:
        click.echo(f"{check.level:<8} {check.topic:<10} {check.says}")
        if check.do:
            click.echo(f"{'':<19} -> {check.do}")
