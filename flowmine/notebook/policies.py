"""`PolicySet` as people use it in notebooks: the engine's, which also compares, checks and shows itself."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from flowmine.engine import policyset
from flowmine.errors import PolicyError, UsageError
from flowmine.notebook import markup
from flowmine.notebook.frame import Frame, Listing, columns, shown_of
from flowmine.policy.codec import to_dict, to_yaml
from flowmine.policy.files import Document
from flowmine.policy.model import CidrGroup, Direction, Kind, Policy

if TYPE_CHECKING:
    from flowmine.notebook.comparing import Differences, Findings
    from flowmine.notebook.flows import Flows
    from flowmine.notebook.tracing import Traced

__all__ = ["Policies", "PolicySet", "Verdicts", "policy_set"]

_SCHEMA = columns(("kind namespace name", "text"), ("ingress egress", "count"), ("yaml", "text"))


class Verdicts(list[dict[str, Any]]):
    """The answers of `PolicySet.verdicts`: a list that other libraries also read as a table, a row a query."""

    @cached_property
    def table(self) -> pa.Table:
        """The answers as an Arrow table, a column for each name that any of them has."""
        names = list(dict.fromkeys(name for answer in self for name in answer))
        return pa.table({name: [answer.get(name) for answer in self] for name in names})

    def to_pandas(self) -> Any:
        """Return the answers as a DataFrame of pandas."""
        return self.table.to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the answers through Arrow's PyCapsule interface."""
        return self.table.__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        return markup.card(f"{len(self):,} verdicts", markup.table(shown_of(self.table)) if self else "")


class PolicySet(policyset.PolicySet):
    """Policies of all three kinds with the CIDR groups they refer to, judged together as one cluster's.

    It is also a table (an Arrow stream), a row a policy: kind, namespace, name, how many rules of each direction, YAML.
    """

    @cached_property
    def table(self) -> pa.Table:
        """The policies as an Arrow table."""
        rows = sorted(map(_row, self.policies), key=lambda row: (row["namespace"], row["name"], row["kind"]))
        return pa.Table.from_pylist(rows, _SCHEMA)

    def to_pandas(self) -> Any:
        """Return the policies as a DataFrame of pandas."""
        return self.table.to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the policies through Arrow's PyCapsule interface."""
        return self.table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        """Return how many policies have an effect."""
        return len(self.policies)

    def __bool__(self) -> bool:
        """Return true: a set without policies is one too."""
        return True

    def verdicts(self, queries: Iterable[Mapping[str, Any]]) -> Verdicts:
        """Return Cilium's verdict on each query, as `flowmine.engine.policyset.PolicySet.verdicts` says."""
        return Verdicts(super().verdicts(queries))

    def trace(
        self,
        source: str | Mapping[str, Any],
        destination: str | Mapping[str, Any],
        port: int | str,
        **asked: Any,
    ) -> "Traced":
        """Return why a connection is allowed or denied: which rules select its ends, and what each comes down to.

        Ends are texts as `flowmine trace --from` takes them (`shop/app=web`, `world`, `10.1.2.3`, `fqdn:api.example.com`)
        or parties of a query; ``port`` is 80 or `53/UDP`. ``asked`` are ``http`` (`GET /x`), ``headers``, ``dns``,
        ``named_ports`` and ``flows``, in which pods are looked up and whose cluster is then the policies' own. Raise UsageError where one cannot be understood.
        """
        from flowmine.notebook.tracing import traced

        return traced(self, source, destination, port, **asked)

    def diff(self, other: "Policies", flows: "Flows | None" = None) -> "Differences":
        """Return which connections ``other`` lets through and this set does not, and the other way round.

        Over the identities of ``flows`` where they are given, else over those that the policies speak of. No row: the
        sets mean the same.
        """
        from flowmine.notebook.comparing import differences

        return differences(self, policy_set(other), flows)

    def lint(
        self, flows: "Flows | None" = None, *, rules: Sequence[str] = (), skip: Sequence[str] = ()
    ) -> "Findings":
        """Return what the policies say and do not mean; with ``flows`` selectors are held against the traffic.

        ``rules`` chooses by id, ``skip`` leaves out. Raise UsageError for a rule that does not exist.
        """
        from flowmine.notebook.comparing import findings

        return findings(self, flows, rules, skip)

    @classmethod
    def of(cls, other: policyset.PolicySet) -> Self:
        """Return an engine's set as one of these."""
        made = cls(other.policies, other.groups, other.config, other.problems())
        made.documents, made.skipped = other.documents, other.skipped
        return made

    def manifests(self) -> tuple[Document, ...]:
        """Return the documents that the set was read from; of policies made by program, what they would be."""
        if self.documents:
            return self.documents
        objects: list[CidrGroup | Policy] = [*self.groups, *self.policies]
        return tuple(Document("object", number, 0, to_dict(each)) for number, each in enumerate(objects))

    def effects(self) -> tuple[str, ...]:
        """Return sentences on what has no effect, and what was passed over."""
        none = (f"no effect: {problem}" for problem in self.problems())
        passed = (f"{each.where}: {each.what} passed over: {each.reason}" for each in self.skipped)
        return (*none, *passed)

    def __repr__(self) -> str:
        """Return the policies in a table."""
        return repr(self._listing())

    def _repr_html_(self) -> str:
        """Return the policies for notebooks, each to unfold."""
        folds = (
            markup.fold(f"{row['kind']} {row['namespace']}/{row['name']}", markup.code(row["yaml"]))
            for row in self.table.to_pylist()
        )
        return markup.card(
            self._listing().title, *markup.some(folds, "policies"), markup.facts(self.effects())
        )

    def _listing(self) -> Frame:
        count = len(self.policies)
        title = f"{count:,} polic{'y' if count == 1 else 'ies'}"
        return Listing(title, self.table.drop_columns(["yaml"]), self.effects())


Policies = (
    policyset.PolicySet
    | str
    | os.PathLike[str]
    | Sequence[str | os.PathLike[str]]
    | Sequence[Mapping[str, Any]]
)
"""What may be given as policies: a set, a path (file, folder), several, or manifests."""


def policy_set(policies: Policies) -> PolicySet:
    """Return policies as a set. Raise PolicyError where a path holds none, UsageError for anything else."""
    if isinstance(policies, PolicySet):
        return policies
    if isinstance(policies, policyset.PolicySet):
        return PolicySet.of(policies)
    given = getattr(policies, "policies", None)
    if isinstance(given, PolicySet):
        return given
    if isinstance(policies, str | os.PathLike):
        return _loaded([policies])
    items: list[Any] = list(policies) if isinstance(policies, Iterable) else [policies]
    if all(isinstance(each, str | os.PathLike) for each in items) and items:
        return _loaded(items)
    if all(isinstance(each, Mapping) for each in items):
        return PolicySet.from_dicts(items)
    raise UsageError("policies are a PolicySet, a file or folder, several of these, or a list of manifests")


def _loaded(paths: Sequence[str | os.PathLike[str]]) -> PolicySet:
    made = PolicySet.load(*paths)
    if not (made.policies or made.problems()):
        raise PolicyError(f"{' '.join(map(str, paths))}: there is no policy here; check the path")
    return made


def _row(policy: Policy) -> dict[str, Any]:
    return {
        "kind": policy.kind.value,
        "namespace": "" if policy.kind is Kind.CCNP else policy.namespace or "default",
        "name": policy.name,
        "yaml": to_yaml(policy),
        **{direction.value: _entries(to_dict(policy), direction) for direction in Direction},
    }


def _entries(manifest: Mapping[str, Any], direction: Direction) -> int:
    """Return how many rules of a direction a manifest has, deny rules among them."""
    rules = manifest.get("specs") or [manifest.get("spec") or {}]
    return sum(
        len(rule.get(name) or ()) for rule in rules for name in (direction.value, f"{direction.value}Deny")
    )
