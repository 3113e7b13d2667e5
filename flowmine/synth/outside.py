"""Rules for peers outside the cluster: by name, by CIDR, or as the whole world.

| seen                                                   | written                                                     |
|--------------------------------------------------------|-------------------------------------------------------------|
| egress, the subject asked for a name                   | toFQDNs with that name, or a pattern over many (`names`)     |
| address in a block that `--known` names                | the block                                                   |
| ingress, many unrelated public clients of a port       | the entity world, for that port                             |
| any other address                                      | CIDRs, collapsed, widened within the budget (`cidrs`)        |
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import PortSet
from flowmine.synth.options import Generalisation, Options

__all__ = ["OutsideEnd", "OutsideRule", "egress_rules", "ingress_rules"]


@dataclass(frozen=True, slots=True)
class OutsideEnd:
    """One address beyond the cluster on one side of one subject.

    `ports` are the subject's own for ingress and the address's for egress; `names` those that this subject asked for
    when it got the address, none on ingress; `labels` as Cilium writes them; `events` a count.
    """

    ip: str
    ports: PortSet
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    events: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutsideRule:
    """One peer part with its ports: exactly one of `fqdns`, `cidrs` and `entities` is given.

    `members` are the addresses seen behind it, sorted; `names` what `--known` calls its blocks; `unnamed` tells that it
    is by address although a name would be better (egress); `notes` every generalisation made.
    """

    ports: PortSet
    members: tuple[str, ...]
    fqdns: tuple[FqdnSelector, ...] = ()
    cidrs: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unnamed: bool = False
    notes: tuple[Generalisation, ...] = ()


def egress_rules(ends: Iterable[OutsideEnd], options: Options) -> tuple[OutsideRule, ...]:
    """Return the rules by which one subject may reach these addresses, and as little else as the options allow."""
    raise NotImplementedError


def ingress_rules(ends: Iterable[OutsideEnd], options: Options) -> tuple[OutsideRule, ...]:
    """Return the rules by which these addresses may reach one subject, and as little else as the options allow."""
    raise NotImplementedError
