"""What a policy of any kind comes down to: entries, each a subject, a direction, peers and ports.

CiliumNetworkPolicy, its clusterwide form and Kubernetes NetworkPolicy are one union at one tier (SEMANTICS 45), so that
one form serves all: `lowering` and `knp` make it, `index` compiles it, `trace` reads it.
"""

from dataclasses import dataclass
from enum import IntFlag

from flowmine.engine.addresses import Span
from flowmine.policy.model import Direction, FqdnSelector, HttpRule
from flowmine.policy.selector import Term

__all__ = [
    "ANY_PORT",
    "Atom",
    "CidrAtom",
    "FqdnAtom",
    "LabelAtom",
    "LoweredEntry",
    "Origin",
    "PortTerm",
    "Protocols",
    "Redirect",
    "Subject",
    "protocols_of",
]


class Protocols(IntFlag):
    """A set of protocols; `ALL` also holds those that have no name here."""

    TCP = 1
    UDP = 2
    SCTP = 4
    ICMP = 8
    ICMPV6 = 16
    VRRP = 32
    IGMP = 64
    OTHER = 128
    ANY = TCP | UDP | SCTP
    ALL = 255


def protocols_of(name: str | None) -> Protocols:
    """Return the protocols that a policy or a query means; absent and ANY are TCP, UDP and SCTP (SEMANTICS 25).

    >>> protocols_of("ICMPv6"), protocols_of(None) == Protocols.ANY
    (<Protocols.ICMPV6: 16>, True)
    """
    wanted = (name or "ANY").upper().replace("ICMPV4", "ICMP")
    return Protocols.__members__.get(wanted, Protocols.OTHER)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an entry stands: the policy's `Kind/namespace/name` and the path inside the manifest."""

    policy: str
    path: str

    def __str__(self) -> str:
        return f"{self.policy}:{self.path}"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a rule selects: endpoints by their labels, or (`node`) hosts by the node's labels."""

    terms: tuple[Term, ...]
    node: bool = False


@dataclass(frozen=True, slots=True)
class LabelAtom:
    """Peers by their labels: all terms hold. Entities are this too, by `reserved:` labels."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class CidrAtom:
    """Peers outside by address, or by the `cidr:` or `cidrgroup:` label that Cilium gives them."""

    span: Span
    excepts: tuple[Span, ...]
    text: str
    except_texts: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class FqdnAtom:
    """Peers outside by a DNS name learned for their address."""

    selector: FqdnSelector


Atom = LabelAtom | CidrAtom | FqdnAtom


@dataclass(frozen=True, slots=True)
class Redirect:
    """What sends a connection to a proxy: the parser, its priority (1 highest) and the rules it applies.

    `http` and `dns` are None where the rules of that kind are absent.
    """

    parser: str
    priority: int
    http: tuple[HttpRule, ...] | None = None
    dns: tuple[FqdnSelector, ...] | None = None


@dataclass(frozen=True, slots=True)
class PortTerm:
    """Ports of some protocols: numbers `low` to `high` (for ICMP, types), or a name still to be looked up.

    A named port with `end` goes from its number to `end` where that is higher.
    """

    protocols: Protocols
    low: int = 0
    high: int = 65535
    name: str = ""
    end: int = 0
    redirect: Redirect | None = None


ANY_PORT = (PortTerm(Protocols.ALL),)
"""No restriction at all: every protocol, ICMP and unknown ones included."""


@dataclass(frozen=True, slots=True)
class LoweredEntry:
    """One entry as the engine sees it.

    `peers` None is anybody, `()` nobody; `ports` `()` is none. `default_deny` says whether the entry closes its direction.
    """

    origin: Origin
    direction: Direction
    denies: bool
    subject: Subject
    peers: tuple[Atom, ...] | None
    ports: tuple[PortTerm, ...]
    default_deny: bool
    authentication: str | None = None
