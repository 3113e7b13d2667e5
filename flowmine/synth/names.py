"""DNS names of the outside world: which may stand in `toFQDNs`, and when many fold into a pattern.

| names reached on one port                                | pattern              | from Cilium |
|----------------------------------------------------------|----------------------|-------------|
| run.cloud.google.com, storage.cloud.google.com, …        | `*.cloud.google.com` | any         |
| a.eu.example.com, b.us.example.com, c.ap.example.com     | `*.*.example.com`    | any         |
| a.example.com, b.eu.example.com, c.d.us.example.com      | `**.example.com`     | 1.19        |

A pattern never reaches beyond one registrable domain (publicsuffix.org, private section included: buckets of a store
belong to different owners).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from publicsuffixlist import PublicSuffixList

from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import PortSet
from flowmine.synth.options import Generalisation, Options

__all__ = ["NamedPorts", "cluster_domain", "external", "fold", "registrable"]

_VALID = re.compile(r"(?=.{1,253}$)([-a-z0-9_]{1,63}\.)+[-a-z0-9_]{1,63}")
_DOUBLE_STAR = (1, 19)


@dataclass(frozen=True, slots=True)
class NamedPorts:
    """One name or pattern and the ports it is reached on; `members` are the names behind it."""

    selector: FqdnSelector
    ports: PortSet
    members: tuple[str, ...]
    notes: tuple[Generalisation, ...] = ()


def external(names: Iterable[str], domain: str) -> tuple[str, ...]:
    """Return the names that may be FQDN peers, sorted: no Service, no single label, nothing DNS cannot hold.

    `domain` is the cluster's own, under which all names are Services or their search-suffix expansions.

    >>> external(["api.stripe.com", "db.shop.svc.cluster.local", "db", "a b.com"], "cluster.local")
    ('api.stripe.com',)
    """
    return _external(tuple(names), domain)


@lru_cache(maxsize=65536)
def _external(names: tuple[str, ...], domain: str) -> tuple[str, ...]:
    plain = {name.lower().rstrip(".") for name in names}
    return tuple(sorted(name for name in plain if _VALID.fullmatch(name) and not _internal(name, domain)))


def _internal(name: str, domain: str) -> bool:
    labels = name.split(".")
    if "svc" in labels[1:] and labels[-1] in ("svc", "local"):
        return True
    return name.endswith((f".{domain}", ".in-addr.arpa", ".ip6.arpa")) or name == domain


def cluster_domain(names: Iterable[str], namespaces: Iterable[str], default: str) -> str:
    """Return the cluster's DNS domain: what most often follows `SERVICE.NAMESPACE.svc.` in the names asked for.

    >>> cluster_domain(["db.shop.svc.k8s.acme.io"], ["shop"], "cluster.local")
    'k8s.acme.io'
    """
    known = set(namespaces)
    votes: dict[str, int] = defaultdict(int)
    for name in names:
        before, found, after = name.lower().rstrip(".").partition(".svc.")
        if found and after and before.rpartition(".")[2] in known and ".svc." not in after:
            votes[after] += 1
    # Of expansions (`x.ns.svc.DOMAIN.corp.example`) the plain domain is the shortest and the most frequent.
    return min(votes, key=lambda each: (-votes[each], len(each), each), default=default)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@cache
def _above_suffixes() -> frozenset[str]:
    text = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text("utf-8")
    rules = (line.strip().lstrip("!") for line in text.splitlines() if line.strip() and line[:2] != "//")
    return frozenset(
        rule.split(".", place)[place] for rule in rules for place in range(1, rule.count(".") + 1)
    )


@lru_cache(maxsize=65536)
def registrable(name: str) -> str | None:
    """Return the domain that somebody registered to own the name, or None where the name is a public suffix itself.

    >>> registrable("a.b.example.co.uk"), registrable("logs.s3.amazonaws.com"), registrable("co.uk")
    ('example.co.uk', 'logs.s3.amazonaws.com', None)
    """
    found = _suffixes().privatesuffix(name)
    return str(found) if found else None


def fold(names: Mapping[str, PortSet], options: Options) -> tuple[NamedPorts, ...]:
    """Return names (each with the ports it is reached on) with those under one suffix folded into patterns.

    A pattern stands for at least `options.pattern_names` names and opens only ports that
    `options.pattern_port_names` of them were reached on; what it does not open stays with the name.
    """
    left = {name: ports for name, ports in names.items() if ports}
    folded: list[NamedPorts] = []
    by_suffix = _by_suffix(left) if options.pattern_names else {}
    for suffix in sorted(by_suffix, key=lambda each: (-each.count("."), each)):
        for pattern, members in _patterns(suffix, by_suffix[suffix], options):
            here = {name: left[name] for name in members if name in left}
            made = _pattern(pattern, suffix, here, options)
            if made is None:
                continue
            folded.append(made)
            for name in made.members:
                left[name] -= made.ports
                if not left[name]:
                    del left[name]
    plain = [NamedPorts(FqdnSelector(match_name=name), ports, (name,)) for name, ports in left.items()]
    return tuple(sorted(folded + plain, key=lambda each: (each.members, each.ports)))


def _by_suffix(names: Iterable[str]) -> dict[str, list[str]]:
    """The names under every proper suffix of theirs that is within one registrable domain."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        domain = registrable(name)
        suffix = name
        while domain and suffix != domain:
            suffix = suffix.partition(".")[2]
            found[suffix].append(name)
    return {suffix: under for suffix, under in found.items() if len(under) > 1}


def _patterns(suffix: str, names: Sequence[str], options: Options) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the patterns worth a try under a suffix, tightest first, each with the names that it matches."""
    by_depth: dict[int, list[str]] = defaultdict(list)
    for name in names:
        by_depth[name.count(".") - suffix.count(".") - 1].append(name)
    if 0 in by_depth:
        yield f"*.{suffix}", by_depth[0]
    if suffix in _above_suffixes():
        return
    for depth in sorted(by_depth):
        if depth:
            yield "*." * (depth + 1) + suffix, by_depth[depth]
    if options.cilium >= _DOUBLE_STAR and len(by_depth) > 1:
        yield f"**.{suffix}", names


def _pattern(pattern: str, suffix: str, names: Mapping[str, PortSet], options: Options) -> NamedPorts | None:
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for ports in names.values():
        for port in ports:
            counts[port] += 1
    opened = PortSet.of(port for port, count in counts.items() if count >= options.pattern_port_names)
    members = tuple(name for name in sorted(names) if names[name] & opened)
    # A pattern over several levels needs names under that many different parents.
    varied = {name.partition(".")[2] for name in members} if pattern.startswith(("**", "*.*")) else members
    if len(varied) < options.pattern_names:
        return None
    shown = ", ".join(name.removesuffix(f".{suffix}") for name in members[:6])
    more = f" and {len(members) - 6} more" if len(members) > 6 else ""
    note = Generalisation(
        kind="pattern",
        what=f"{pattern} on {opened}",
        evidence=f"{len(members)} names under {suffix}: {shown}{more}",
        threshold=f"pattern_names={options.pattern_names}",
    )
    return NamedPorts(FqdnSelector(match_pattern=pattern), opened, members, (note,))
