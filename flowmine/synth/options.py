"""Every choice and threshold of the synthesis, each with its default, its value under `--exact`, and the reason for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

__all__ = ["Generalisation", "Known", "Options", "Threshold", "thresholds"]


@dataclass(frozen=True, slots=True, order=True)
class Generalisation:
    """Something allowed beyond what was seen, and on what grounds.

    `kind` is one of pattern, widen, world, known, range, template, prefix, l4, selector …; `what` the thing written, `evidence`
    what was seen, `threshold` the option and its value that allowed it.
    """

    kind: str
    what: str
    evidence: str
    threshold: str


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """A block of addresses that somebody has given a name: `cidr` as text (canonical), and the name."""

    cidr: str
    name: str


def _threshold(default: Any, exact: Any, why: str) -> Any:
    return field(default=default, metadata={"exact": exact, "why": why})


def _choice(default: Any, why: str) -> Any:
    return field(default=default, metadata={"why": why})


@dataclass(frozen=True, slots=True)
class Options:
    """All options of the synthesis. `exact()` returns them with every generalisation off; `thresholds()` lists them.

    Thresholds carry their own reason (shown by `flowmine help options`), so that documentation cannot drift.
    """

    cilium: tuple[int, int] = _choice(
        (1, 19), "Gates what is written: `**.` 1.19, enableDefaultDeny and port ranges 1.16."
    )
    known: tuple[Known, ...] = _choice(
        (), "Blocks that a person named (`--known`) stand whole where one of their addresses is a peer."
    )
    dns: str = _choice(
        "any", "`any`: FQDN rules let the resolver be asked for every name; `strict`: for the names needed."
    )
    l7: tuple[str, ...] = _choice(
        (), "`http`, `dns`: also write rules for the requests themselves; the default is layer 4."
    )
    cluster_domain: str = _choice("cluster.local", "Names under it are Services and never FQDN peers.")

    pattern_names: int = _threshold(
        3, 0, "Names under one suffix before they fold into `*.suffix`; two may be all there are. 0 = never."
    )
    pattern_port_names: int = _threshold(
        2, 0, "Names of a pattern that must have been reached on a port before the pattern opens it."
    )
    widen_excess: int = _threshold(
        16,
        0,
        "Unseen addresses that the CIDRs of one rule may hold in all; a few spare hosts of a small network.",
    )
    widen_seen: float = _threshold(
        0.5, 1.0, "Part of a widened CIDR's addresses that must have been seen; below half it is a guess."
    )
    widen_members: int = _threshold(
        4, 0, "Addresses that must have been seen in a CIDR before it is widened to; fewer are single hosts."
    )
    world_clients: int = _threshold(
        16,
        0,
        "Public clients of one port before it is a public entry point; allow-lists of partners are shorter. 0 = never.",
    )
    world_spread: int = _threshold(
        8,
        0,
        "Unrelated networks (IPv4 /16, IPv6 /32) from which three quarters as many clients are enough. 0 = never.",
    )
    world_companion: int = _threshold(
        4,
        0,
        "Public clients of a further port, most of them clients of a public one (80 beside 443). 0 = never.",
    )
    range_ports: int = _threshold(
        8,
        0,
        "Distinct ports of one listener in a band before they are a range (RTP, passive FTP). 0 = never.",
    )
    range_seen: float = _threshold(
        0.01,
        1.0,
        "Part of a range's ports that must have been seen; a handful strewn over thousands is a scan, not a listener.",
    )
    range_slack: int = _threshold(
        4,
        0,
        "Mean gaps by which a range's ends may be rounded outward; beyond four an end lies in 2 % of cases.",
    )
    template_slugs: int = _threshold(
        6,
        0,
        "Distinct words in one place of a path, mostly seen once, before they are a parameter. 0 = never.",
    )
    template_ids: bool = _threshold(
        True, False, "Numbers, UUIDs, hashes, dates and tokens in a path are parameters at first sight."
    )
    http_rules: int = _threshold(
        40,
        0,
        "HTTP rules of one port before paths are cut to prefixes; longer lists are not read. 0 = no limit.",
    )
    namespace_peers: int = _threshold(
        0,
        0,
        "Workloads of a namespace that must all be peers before the whole namespace is written. 0 = never: later pods differ.",
    )
    noise_ports: int = _choice(
        10,
        "Ports that one source tried in vain, or low ports of one target, before it scans. 0 = never.",
    )
    noise_targets: int = _choice(
        15,
        "Targets that one source tried on one port, most in vain, before it sweeps; all-round monitoring succeeds. 0 = never.",
    )
    noise_failed: float = _choice(
        0.5,
        "Part of what a sweep tried that must have failed; a service that is down fails alone.",
    )
    noise_repeat: int = _choice(
        3,
        "Times the usual use of a scanned port by which a scanner's own port must be used to stay allowed.",
    )
    program_size: int = _choice(
        80, "RE2 instructions of one regular expression; Envoy refuses the endpoint's policies above 100."
    )

    def exact(self) -> "Options":
        """Return these options with every generalisation off: nothing unseen is allowed, but what `known` names."""
        values: dict[str, Any] = {each.name: each.exact for each in thresholds()}
        return replace(self, **values)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of the documentation's table of thresholds."""

    name: str
    default: Any
    exact: Any
    why: str


def thresholds() -> Iterator[Threshold]:
    """Yield every threshold of a generalisation: its name, default, value under `--exact`, and why.

    >>> next(thresholds()).name
    'pattern_names'
    """
    for each in fields(Options):
        if "exact" in each.metadata:
            yield Threshold(each.name, each.default, each.metadata["exact"], each.metadata["why"])
