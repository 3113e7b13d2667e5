"""From filter words in the order of a line to allow and deny lists of FlowFilters.

A filter that may match either end (``--pod``) makes two FlowFilters, of which one must match: the left one holds it
for the source, the right one for the destination (Cilium ``hubble/cmd/observe/flows_filter.go``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.filters.model import FlowFilter
from flowmine.ingest.filters.values import ANYWHERE, AT_AN_END

__all__ = ["ENDS", "FilterLists"]

ENDS = ("", "from-", "to-")
"""What stands before the name of a filter on ends: either end, the source, the destination."""

_CONFLICTS = (
    "from-fqdn from-ip ip fqdn from-namespace namespace from-all-namespaces all-namespaces",
    "from-fqdn from-ip ip fqdn from-pod pod",
    "to-fqdn to-ip ip fqdn to-namespace namespace to-all-namespaces all-namespaces",
    "to-fqdn to-ip ip fqdn to-pod pod",
    "to-pod namespace all-namespaces",
    "from-pod namespace all-namespaces",
    "to-service namespace all-namespaces",
    "from-service namespace all-namespaces",
    "label from-label",
    "label to-label",
    "service from-service",
    "service to-service",
    "port to-port",
    "port from-port",
    "identity to-identity",
    "identity from-identity",
    "workload to-workload",
    "workload from-workload",
    "encrypted unencrypted",
)
"""Filters of one line cannot be combined within a list; Hubble refuses them too."""


@dataclass(slots=True)
class _Tracker:
    """One list while it is being built: the two alternatives, and namespaces, which qualify pods and Services."""

    left: dict[str, list[Any]] = field(default_factory=dict)
    right: dict[str, list[Any]] = field(default_factory=dict)
    namespaces: dict[str, list[str]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)

    def add(self, name: str, text: str) -> None:
        self.given.append(name)
        self._refuse_conflicts()
        end = next(end for end in reversed(ENDS) if name.startswith(end))
        base = name.removeprefix(end)
        if base in ("namespace", "all-namespaces"):
            self.namespaces.setdefault(end, []).append(text)
        elif base in AT_AN_END:
            key, parse = AT_AN_END[base]
            for side, alternative in self._places(end):
                alternative.setdefault(f"{side}_{key}", []).append(parse(text))
        else:
            key, parse = ANYWHERE[name]
            for alternative in (self.left, self.right):
                alternative.setdefault(key, []).append(parse(text))
        self._refuse_foreign_names()

    def filters(self) -> tuple[FlowFilter, ...]:
        """Return one FlowFilter, or two where either end may match."""
        if not self.given:
            return ()
        for end, names in self.namespaces.items():
            for side, alternative in self._places(end):
                _qualify(alternative, side, names)
        both = [FlowFilter(**{key: tuple(v) for key, v in part.items()}) for part in (self.left, self.right)]
        return tuple(dict.fromkeys(both))

    def _places(self, end: str) -> list[tuple[str, dict[str, list[Any]]]]:
        sides = {"": ("source", "destination"), "from-": ("source",) * 2, "to-": ("destination",) * 2}
        return list(zip(sides[end], (self.left, self.right), strict=True))

    def _refuse_conflicts(self) -> None:
        for group in _CONFLICTS:
            clash = [name for name in dict.fromkeys(self.given) if name in group.split()]
            if len(clash) > 1:
                raise UsageError(f"filters --{clash[1]} and --{clash[0]} cannot be combined")

    def _refuse_foreign_names(self) -> None:
        for alternative in (self.left, self.right):
            for side in ("source", "destination"):
                pods, services = alternative.get(f"{side}_pod", ()), alternative.get(f"{side}_service", ())
                own = self.namespaces.get("from-" if side == "source" else "to-", [])
                for namespace in (*self.namespaces.get("", ()), *own):
                    _refuse(f"namespace {namespace!r}", {namespace}, (*pods, *services))
                for pod in pods:
                    if "/" in pod:
                        _refuse(f"pod {pod!r}", {_namespace(pod)}, services, bare=True)


def _qualify(alternative: dict[str, list[Any]], side: str, namespaces: Iterable[str]) -> None:
    """Put the namespaces before pod and Service names that have none; without any, any pod there will do."""
    pods, services = f"{side}_pod", f"{side}_service"
    if not alternative.get(pods) and not alternative.get(services):
        alternative[pods] = [""]
    for key in (pods, services):
        names = alternative.get(key, [])
        alternative[key] = [
            full
            for name in names
            for full in ([name] if "/" in name else [f"{ns}/{name}" for ns in namespaces])
        ]


def _namespace(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


def _refuse(what: str, namespaces: set[str], names: Iterable[str], bare: bool = False) -> None:
    for name in names:
        if (bare or _namespace(name)) and _namespace(name) not in namespaces:
            raise UsageError(f"namespace conflict: {what} and {name!r} exclude each other")


class FilterLists:
    """The allow and the deny list of one line, fed option by option in its order."""

    def __init__(self) -> None:
        """Start with both lists empty."""
        self.allowlist: list[str] = []
        self.denylist: list[str] = []
        self._allow = _Tracker()
        self._deny = _Tracker()
        self._negated = False

    def add(self, name: str, text: str) -> None:
        """Take the next option and its value. Raise UsageError where Hubble would refuse it."""
        if name == "not":
            if self._negated:
                raise UsageError("--not twice in a row")
            self._negated = True
        elif name in ("allowlist", "denylist"):
            (self.allowlist if name == "allowlist" else self.denylist).append(text)
        else:
            tracker = self._deny if self._negated else self._allow
            self._negated = False
            tracker.add(name, text)

    def allow(self) -> tuple[FlowFilter, ...]:
        """Return the filters of which one must match. Raise UsageError where the line ended in ``--not``."""
        if self._negated:
            raise UsageError("--not has no filter after it")
        return self._allow.filters()

    def deny(self) -> tuple[FlowFilter, ...]:
        """Return the filters of which none may match."""
        return self._deny.filters()
