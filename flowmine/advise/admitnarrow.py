"""The single changes that take a deny rule out of the way: a peer or a port of the entry, or the entry itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from flowmine.advise.admitcandidates import Action, Candidate, raw_rule
from flowmine.advise.admitops import Op, Path, remove, value_at
from flowmine.advise.standpoint import Standpoint
from flowmine.policy.model import Direction

__all__ = ["narrowed", "removals"]

_LISTS = ("ingress", "ingressDeny", "egress", "egressDeny")


def narrowed(
    here: Standpoint, manifests: Mapping[str, Mapping[str, Any]], direction: Direction, entry: str
) -> Iterator[Candidate]:
    """Yield the changes that may take a deny entry (`policy:path`) out of the way; none where no manifest holds it."""
    ref, _, path = entry.partition(":")
    found = next((each for each in here.policies.index.entries if str(each.origin) == entry), None)
    if ref not in manifests or found is None:
        return
    manifest = manifests[ref]
    rule, _, rest = path.partition(".")
    section, _, number = rest.partition("[")
    where: Path = (*raw_rule(manifest, rule), section, int(number.rstrip("]")))
    raw = value_at(manifest, where)
    for ops, shown in removals(manifest, where, raw):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(
            "."
        )
        yield Candidate(
            Action.NARROW,
            ref,
            manifest,
            (Op("test", where, raw), *ops),
            place,
            shown,
            direction,
            found.subject,
            (),
        )


def removals(
    manifest: Mapping[str, Any], where: Path, raw: Mapping[str, Any], *, closing: bool = False
) -> Iterator[tuple[tuple[Op, ...], Any]]:
    """Yield what can be taken from an entry, with what that is: a peer, a port, the entry.

    The last entry of a section takes the section with it where another is left; with ``closing`` it is not offered, for a
    direction that it closed would open.
    """
    for field, value in raw.items():
        if field != "toPorts" and isinstance(value, list) and len(value) > 1:
            for number, item in enumerate(value):
                yield (remove((*where, field, number)),), {field: [item]}
    for number, item in enumerate(raw.get("toPorts") or ()):
        ports = item.get("ports") or ()
        for place, port in enumerate(ports if len(ports) > 1 else ()):
            yield (remove((*where, "toPorts", number, "ports", place)),), {"toPorts": [{"ports": [port]}]}
        if len(raw["toPorts"]) > 1:
            yield (remove((*where, "toPorts", number)),), {"toPorts": [item]}
    entries = value_at(manifest, where[:-1])
    if len(entries) > 1:
        yield (remove(where),), [raw]
    elif not closing and any(
        value_at(manifest, where[:-2]).get(name) for name in _LISTS if name != where[-2]
    ):
        yield (remove(where[:-1]),), [raw]
