"""Why a connection is allowed or denied, and the assertions on it that tests of policies are made of."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flowmine.engine.explain import explain
from flowmine.engine.policyset import PolicySet as EngineSet
from flowmine.engine.question import end, http_request
from flowmine.engine.question import port as parsed_port
from flowmine.engine.reasons import SideTrace, Trace
from flowmine.engine.trace import trace as walk
from flowmine.errors import UsageError
from flowmine.notebook import markup
from flowmine.notebook.inforce import judging
from flowmine.notebook.policies import Policies, policy_set
from flowmine.report.tables import clean

if TYPE_CHECKING:
    from flowmine.notebook.flows import Flows

__all__ = ["Traced", "assert_allowed", "assert_denied", "traced"]

End = str | Mapping[str, Any]


class Traced:
    """The walk through one decision; ``trace`` holds all of it as values."""

    def __init__(self, trace: Trace) -> None:
        """Take the walk."""
        self.trace = trace

    @property
    def verdict(self) -> str:
        """The verdict on the connection: allowed or denied."""
        return self.trace.verdict

    @property
    def allowed(self) -> bool:
        """Whether the connection passes, and what was asked over it."""
        asked = (self.trace.http_allowed, self.trace.dns_allowed)
        return self.trace.verdict == "allowed" and False not in asked

    @property
    def text(self) -> str:
        """The walk in sentences: which rules select each side, what each of their entries comes down to."""
        return "\n".join(map(clean, explain(self.trace).split("\n"))).rstrip("\n")

    def __repr__(self) -> str:
        """Return the walk in sentences."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the decision, with the walk of each side to unfold."""
        found = self.trace
        parts = self.text.split("\n\n")
        folds = (
            markup.fold(_summary(side), markup.code(part))
            for side, part in zip((found.egress, found.ingress), parts[1:], strict=True)
        )
        title = f"{found.source} to {found.destination} on {found.port}: {'allowed' if self.allowed else 'denied'}"
        return markup.card(title, *folds)


def traced(
    policies: Policies,
    source: End,
    destination: End,
    port: int | str,
    *,
    http: str | None = None,
    headers: Iterable[str] = (),
    dns: str | None = None,
    named_ports: Iterable[str] = (),
    flows: "Flows | None" = None,
) -> Traced:
    """Return why policies allow or deny a connection; see `PolicySet.trace` for what it takes."""

    def lookup(namespace: str, name: str) -> list[str]:
        if flows is None:
            raise UsageError(
                f"{namespace}/{name}: policies know pods by labels only; write {namespace}/KEY=VALUE, or give flows "
                "in which the pod is seen"
            )
        return flows.labels_of(namespace, name)

    number, protocol = parsed_port(str(port))
    query: dict[str, Any] = {
        "src": end(source, lookup) if isinstance(source, str) else source,
        "dst": end(destination, lookup, named_ports) if isinstance(destination, str) else destination,
        "protocol": protocol,
        "port": number,
    }
    if http:
        query["http"] = http_request(http, headers)
    elif tuple(headers):
        raise UsageError("headers are part of a request: give http too")
    if dns:
        query["dns"] = {"query": dns}
    return Traced(walk(_judges(policies, flows), query))


def assert_allowed(policies: Policies, source: End, destination: End, port: int | str, **asked: Any) -> None:
    """Raise AssertionError, with the walk through the decision, where policies deny a connection.

    What it takes is what `PolicySet.trace` takes; ``policies`` may be a path. With ``http`` or ``dns`` the request must
    pass as well.

    >>> closed = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "closed"},
    ...           "spec": {"endpointSelector": {"matchLabels": {"app": "db"}}, "ingress": [{}]}}
    >>> assert_allowed([closed], "app=db", "app=web", 80)
    """
    __tracebackhide__ = True
    found = traced(policies, source, destination, port, **asked)
    if not found.allowed:
        raise AssertionError(f"expected allowed, and it is denied:\n{found.text}")


def assert_denied(policies: Policies, source: End, destination: End, port: int | str, **asked: Any) -> None:
    """Raise AssertionError, with the walk through the decision, where policies allow a connection.

    With ``http`` or ``dns`` it is enough that the request is denied. See `assert_allowed`.
    """
    __tracebackhide__ = True
    found = traced(policies, source, destination, port, **asked)
    if found.allowed:
        raise AssertionError(f"expected denied, and it is allowed:\n{found.text}")


def _judges(policies: Policies, flows: "Flows | None") -> EngineSet:
    """Return the set that judges: with flows that of the cluster which recorded them, for its pods' labels name it."""
    if flows is not None:
        return judging(policy_set(policies), flows.settled())
    return policies if isinstance(policies, EngineSet) else policy_set(policies)


def _summary(side: SideTrace) -> str:
    return f"{side.direction}: {side.outcome}: {side.reason}"
