"""One rule in the making: its peers, its ports, the edges behind it, and what it allows beyond them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from flowmine.policy.model import Entry, FqdnSelector, HttpRule
from flowmine.ports import PortSet
from flowmine.synth.lower import icmp_rules, port_rules
from flowmine.synth.options import Generalisation

__all__ = ["Draft", "Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an entry of a policy stands there: whom it is for, and the edges (rows of EDGES) that it admits.

    ``required`` says why it is needed although removing it might deny nothing that was observed; ``notes`` are the
    generalisations made; ``closes`` marks the empty entry that closes a quiet direction.
    """

    about: str
    rows: tuple[int, ...] = ()
    required: str = ""
    notes: tuple[Generalisation, ...] = ()
    remarks: tuple[str, ...] = ()
    closes: bool = False

    def joined(self, other: "Reason") -> "Reason":
        """Return one reason for two entries that became one."""
        return Reason(
            about=self.about if other.about == self.about else f"{self.about}, {other.about}",
            rows=tuple(sorted({*self.rows, *other.rows})),
            required="; ".join(dict.fromkeys(filter(None, (self.required, other.required)))),
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            remarks=tuple(dict.fromkeys((*self.remarks, *other.remarks))),
            closes=self.closes and other.closes,
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """Peers of one kind with ports of all protocols; ``place`` orders drafts as people read them."""

    place: tuple[int, str]
    peers: Entry
    ports: PortSet
    reason: Reason
    dns: tuple[FqdnSelector, ...] | None = None
    http: tuple[HttpRule, ...] | None = None

    def entries(self, cilium: tuple[int, int]) -> Iterator[Entry]:
        """Yield the entries: one for the ports and one for the ICMP types, for no entry may hold both."""
        ports = port_rules(self.ports, cilium=cilium, dns=self.dns, http=self.http)
        if ports:
            yield replace(self.peers, to_ports=ports)
        types = icmp_rules(self.ports)
        if types:
            yield replace(self.peers, icmps=types)
