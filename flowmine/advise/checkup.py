"""What a server's, an exporter's and a cluster's answers mean for who learns policies from them, and what to do.

Every function returns findings; nothing is asked here.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flowmine.advise.pace import Pace
from flowmine.cluster.examine import Examined, Exporter
from flowmine.ingest.relay import Status
from flowmine.ledger import EXPORTER_MASK

__all__ = ["Check", "Level", "cluster_checks", "exporter_checks", "lasting", "rate", "server_checks"]

_MB = 1 << 20
_ROOM = 1.5
"""How many times the capture interval the kept files must hold before nothing is said: traffic is not even."""

_RING_SHORT = 300.0
"""Seconds of history below which a ring is too short for a command that looks back."""

_SHOWN = 3


class Level(StrEnum):
    """How grave a finding is: only problems make a checkup fail."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, what to do about it, and the figures behind it."""

    level: Level
    topic: str
    says: str
    do: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def server_checks(address: str, status: Status) -> Iterator[Check]:
    """Yield what a Hubble server says of itself: version, nodes, and how many seconds of history its rings hold."""
    named = f"{address}: Hubble {status.version or 'of no told version'}"
    if status.unavailable:
        away = ", ".join(status.unavailable_nodes[:_SHOWN]) or "not named"
        yield Check(
            Level.PROBLEM,
            "server",
            f"{named}, {status.unavailable:,} nodes do not answer: {away}",
            "their flows are in no answer: see the logs of hubble-relay and of Cilium's agents on these nodes",
        )
    else:
        nodes = "" if status.connected is None else f", {status.connected:,} nodes, all answer"
        yield Check(Level.OK, "server", f"{named}{nodes}")
    versions = sorted({node.version for node in status.nodes if node.version})
    if len(versions) > 1:
        yield Check(
            Level.NOTE,
            "server",
            f"{address}: nodes of several versions: {', '.join(versions)}",
            "recommend writes for the oldest that it saw; --cilium sets another",
        )
    yield _ring_check(address, status)


def _ring_check(address: str, status: Status) -> Check:
    """Say how long the busiest ring looks back; what is older is overwritten without a word."""
    rings = [
        (
            node.capacity / node.seen * node.uptime / 1e9,
            node.name,
            node.capacity,
            node.seen / node.uptime * 1e9,
        )
        for node in status.nodes
        if node.seen and node.uptime and node.capacity
    ]
    whole = status.rate or (status.seen / status.uptime * 1e9 if status.uptime else 0.0)
    if not rings and whole and status.capacity:
        rings = [(status.capacity / whole, "", status.capacity, whole)]
    if not rings:
        return Check(
            Level.NOTE,
            "ring",
            f"{address}: holds {status.buffered:,} of at most {status.capacity:,} flows, and tells no rate",
            "ask again once flows have come",
        )
    seconds, node, capacity, pace = min(rings)
    where = f"the ring of {node}" if node else f"what {address} holds"
    busiest = " (the busiest)" if len(rings) > 1 else ""
    says = f"{where}{busiest}, {capacity:,} flows, is {lasting(seconds)} at {rate(pace)} flows/s"
    figures = {"seconds": round(seconds, 1), "capacity": capacity, "rate": round(pace, 3), "node": node}
    if seconds >= _RING_SHORT:
        return Check(Level.OK, "ring", says, figures=figures)
    return Check(
        Level.NOTE,
        "ring",
        says,
        "what is older is gone: follow the server (capture, tail, --for 1h) instead of looking back, or raise "
        "hubble-event-buffer-capacity",
        figures,
    )


def exporter_checks(exporter: Exporter, paces: Sequence[Pace], interval: float) -> Iterator[Check]:
    """Yield whether what an exporter keeps outlasts ``interval``, the seconds between two collections of its files."""
    missing = [each for each in EXPORTER_MASK if not _covers(exporter.mask, each)]
    if exporter.mask and missing:
        yield Check(
            Level.PROBLEM if {"source", "destination", "l4", "verdict"}.intersection(missing) else Level.NOTE,
            "exporter",
            f"{exporter.name}: its field mask leaves out {', '.join(missing)}",
            "use the mask of flowmine help default-deny: what is left out cannot be judged by",
        )
    if exporter.filtered:
        yield Check(
            Level.NOTE,
            "exporter",
            f"{exporter.name}: its filters leave flows out",
            "a workload whose traffic is filtered is half seen; export all of a node for recommend",
        )
    if exporter.path == "stdout":
        yield Check(Level.OK, "exporter", f"{exporter.name}: written to stdout; the log pipeline keeps it")
    elif not paces:
        yield Check(
            Level.NOTE,
            "exporter",
            f"{exporter.name}: keeps {exporter.backups} files of {exporter.size_mb} MB; no rate is known to judge by",
            "give a file of the exporter as INPUT, or --server",
        )
    else:
        yield _outlasts(exporter, paces[0], interval)


def _outlasts(exporter: Exporter, pace: Pace, interval: float) -> Check:
    """Judge by the busiest node. Right after a rotation only the rotated files are whole, so only they count."""
    kept = exporter.backups * exporter.size_mb * _MB
    seconds = math.inf if not exporter.backups else pace.lasts(kept)
    by = f"{rate(pace.busiest)} flows/s of {pace.size:,.0f} bytes{'' if pace.measured else ' (assumed)'}"
    on = f" on {pace.node}" if pace.node else ""
    figures = {
        "seconds": None if math.isinf(seconds) else round(seconds, 1),
        "interval": interval,
        "rate": round(pace.busiest, 3),
        "event_bytes": round(pace.size, 1),
        "event_bytes_measured": pace.measured,
        "node": pace.node,
        "file_max_size_mb": exporter.size_mb,
        "file_max_backups": exporter.backups,
    }
    if not exporter.backups:
        grows = pace.busiest * pace.size * 86_400 / _MB
        return Check(
            Level.NOTE,
            "exporter",
            f"{exporter.name}: keeps every file, up to {grows:,.0f} MB a day{on} at {by}",
            "see that something removes the oldest before the node's disk is full",
            figures,
        )
    says = (
        f"{exporter.name}: {exporter.backups} files of {exporter.size_mb} MB last {lasting(seconds)}{on} at {by}; "
        f"collected every {lasting(interval)}"
    )
    if seconds >= interval * _ROOM:
        return Check(Level.OK, "exporter", says, figures=figures)
    need = pace.busiest * pace.size * interval * _ROOM
    files, size = math.ceil(need / _MB / exporter.size_mb), math.ceil(need / _MB / exporter.backups)
    figures |= {"needed_backups": files, "needed_size_mb": size}
    return Check(
        Level.PROBLEM if seconds < interval else Level.NOTE,
        "exporter",
        says + (", so flows are lost between" if seconds < interval else ", which leaves little room"),
        f"set hubble-export-file-max-backups to {files:,} (or hubble-export-file-max-size-mb to {size:,}), or collect "
        f"at least every {lasting(seconds / _ROOM)}",
        figures,
    )


def _covers(mask: Sequence[str], wanted: str) -> bool:
    """Tell whether a mask writes a field: by its own name, or by any part of it (`source.labels`)."""
    return not mask or any(each == wanted or each.startswith(f"{wanted}.") for each in mask)


def cluster_checks(examined: Examined) -> Iterator[Check]:
    """Yield what a cluster answered: its versions, which kinds it serves and lets be listed, how Hubble is set."""
    versions = f"Kubernetes {examined.kubernetes or 'of no told version'}"
    yield Check(
        Level.OK,
        "cluster",
        f"{examined.host}: {versions}, Cilium {examined.cilium or 'of no told version'}",
        figures={"kubernetes": examined.kubernetes, "cilium": examined.cilium},
    )
    listed = [right.resource for right in examined.rights if right.version]
    if listed:
        yield Check(Level.OK, "rights", f"may list {', '.join(listed)}")
    for right in examined.rights:
        if right.refused:
            yield Check(
                Level.PROBLEM, "rights", right.refused, "deploy/rbac.yaml holds the rules flowmine needs"
            )
    absent = [right.kind for right in examined.rights if right.version is None and not right.refused]
    if "CiliumNetworkPolicy" in absent:
        yield Check(
            Level.PROBLEM,
            "rights",
            f"{examined.host}: serves no CiliumNetworkPolicy",
            "Cilium is not installed there, or another cluster is meant: --context",
        )
    elif absent:
        yield Check(Level.NOTE, "rights", f"not served there: {', '.join(absent)}")
    for why in examined.unread:
        yield Check(
            Level.NOTE,
            "cluster",
            f"cannot be read: {why}",
            "the Role flowmine-doctor of deploy/rbac.yaml holds the right",
        )
    yield from _settings(examined)


def _settings(examined: Examined) -> Iterator[Check]:
    config = examined.config
    if config is None:
        return
    if config.get("enable-hubble", "").lower() == "false":
        yield Check(
            Level.PROBLEM, "cluster", "Hubble is off (enable-hubble: false)", "set hubble.enabled=true"
        )
    if config.get("policy-audit-mode", "").lower() == "true":
        yield Check(
            Level.NOTE,
            "cluster",
            "policies are only audited (policy-audit-mode: true): what they deny goes through, with the verdict AUDIT",
            "recommend leaves audited traffic out; --include-audited admits it",
        )
    if config.get("monitor-aggregation", "").lower() == "maximum":
        yield Check(
            Level.NOTE,
            "cluster",
            "monitor-aggregation is maximum: many packets of a connection are not told",
            "medium tells every connection's begin and end",
        )
    if config.get("hubble-flowlogs-config-path") and not any(
        exporter.name != "hubble-export-file-path" for exporter in examined.exporters
    ):
        yield Check(Level.NOTE, "exporter", "dynamic exporters are configured, and none could be read")
    if not examined.exporters:
        yield Check(
            Level.NOTE,
            "exporter",
            "no exporter writes flows to files",
            "flowmine help deploy shows how to turn it on; until then read hubble-relay (capture, tail)",
        )


def rate(events: float) -> str:
    """Return events a second in as many digits as tell something.

    >>> [rate(each) for each in (0.0617, 12.34, 4100)]
    ['0.062', '12.3', '4,100.0']
    """
    return f"{events:,.1f}" if events >= 1 else f"{events:.2g}"


def lasting(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> [lasting(each) for each in (0.5, 41, 600, 5400, 400000)]
    ['0.5 s', '41 s', '10 min', '1.5 h', '4.6 d']
    """
    if math.isinf(seconds):
        return "for ever"
    for unit, size, most in (("s", 1, 120), ("min", 60, 5400), ("h", 3600, 48 * 3600)):
        if seconds < most:
            return f"{seconds / size:.{0 if seconds / size >= 10 else 1}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds / 86_400:.1f}".removesuffix(".0") + " d"
