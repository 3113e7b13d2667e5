"""The view model of a report: all that a page shows of a capture, in plain frozen values that msgspec can write as JSON.

Ends are nodes, nodes stand in groups (namespaces, the platform, the outside), and connections go between nodes. What
is not a workload stands twice, once as a caller and once as called, so that a map can be read from left to right.
Everything refers to everything else by place in the tuples of `View`. Times are milliseconds since the epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

from flowmine.report.tables import Table

__all__ = [
    "OUTCOMES",
    "Connection",
    "DropText",
    "EditText",
    "FindingText",
    "Group",
    "LedgerRow",
    "Node",
    "PolicyText",
    "RuleText",
    "Side",
    "StepText",
    "View",
    "mapped",
]

OUTCOMES: dict[str, str] = {
    "delivered": "it arrived, or was answered",
    "dropped": "policies refused it",
    "audited": "policies would have refused it, and audit mode let it through",
    "other": "dropped, and not by a policy",
    "unseen": "seen to leave, not to arrive",
}
"""The outcomes of EDGES in the order in which reports list them, each in words."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that stand together: ``kind`` is namespace, platform or outside; ``side`` caller or called, empty for both."""

    title: str
    kind: str
    side: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One end of connections; ``standing`` says how far a recommendation closes it; policies are places in `View.policies`."""

    title: str
    group: int
    kind: str
    labels: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    standing: str = ""
    recommended: tuple[int, ...] = ()
    in_force: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleText:
    """One entry of a policy: its path in the manifest, and the lines of the policy's text (from 0) that it takes."""

    path: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy as YAML; ``origin`` is recommended or in force."""

    ref: str
    kind: str
    namespace: str
    name: str
    origin: str
    text: str
    rules: tuple[RuleText, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """What the policies in force say of one side: the outcome, whom to thank for it, and the (policy, rule) that decide."""

    outcome: str
    by: tuple[str, ...] = ()
    rules: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """Edges of one source, target, protocol, port and outcome.

    ``recommended`` are the (policy, rule) of recommended policies that admit it; ``egress`` and ``ingress`` what those
    in force say, None where none were given; ``reasons`` are (side, reason, who denied, count); ``requests``
    (method, host, path, count, denied); ``hours`` counts the clock hours in which it was seen; ``samples`` are a few
    of its events as (time, uuid), to find them in the capture; ``drops`` are places in `View.drops`.
    """

    source: int
    target: int
    protocol: str
    port: int | None
    outcome: str
    changed: bool
    events: int
    delivered: int
    dropped: int
    audited: int
    first: int | None
    last: int | None
    service: str = ""
    addresses: tuple[str, ...] = ()
    address_count: int = 0
    names: tuple[str, ...] = ()
    reasons: tuple[tuple[str, str, str, int], ...] = ()
    requests: tuple[tuple[str, str, str, int, bool], ...] = ()
    hours: int = 0
    samples: tuple[tuple[int, str], ...] = ()
    recommended: tuple[tuple[int, int], ...] = ()
    egress: Side | None = None
    ingress: Side | None = None
    drops: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EditText:
    """One change to one policy, as people take it over."""

    action: str
    ref: str
    places: str
    diff: str
    command: str


@dataclass(frozen=True, slots=True)
class DropText:
    """A group of drops that somebody must decide on, and what admits it."""

    title: str
    count: int
    cause: str
    mind: str
    by: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    also: tuple[str, ...]
    edits: tuple[EditText, ...]


@dataclass(frozen=True, slots=True)
class FindingText:
    """One finding of lint."""

    level: str
    rule: str
    policy: str
    where: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One thing that limits how far the capture can be trusted, with what that means."""

    kind: str
    meaning: str
    source: str
    node: str
    count: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class StepText:
    """One namespace in the order of a rollout: how much of it is closed (0 to 1), and how much was generalised."""

    namespace: str
    ready: float
    guesses: int


@dataclass(frozen=True, slots=True)
class View:
    """A whole report. ``facts`` are (what, how much) for the head, ``told`` and ``remarks`` sentences for a person."""

    title: str
    facts: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    nodes: tuple[Node, ...]
    connections: tuple[Connection, ...]
    drop_table: Table
    policies: tuple[PolicyText, ...] = ()
    drops: tuple[DropText, ...] = ()
    drop_lines: tuple[str, ...] = ()
    findings: tuple[FindingText, ...] | None = None
    ledger: tuple[LedgerRow, ...] = ()
    ledger_lines: tuple[str, ...] = ()
    rollout: tuple[StepText, ...] = ()
    told: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


Value = TypeVar("Value")


def mapped(value: Value, change: Callable[[str], str]) -> Value:
    """Return a view, or any part of one, with every text changed.

    >>> mapped(Group("shop", "namespace"), str.upper)
    Group(title='SHOP', kind='NAMESPACE', side='')
    """
    changed: Any = _changed(value, change)
    return changed  # type: ignore[no-any-return]


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value) if value else value
    if isinstance(value, tuple):
        return tuple(_changed(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(*(_changed(getattr(value, each.name), change) for each in fields(value)))
    return value
