"""The facade of the engine: a set of policies that is loaded, written back, and asked for verdicts."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import pyarrow as pa

from flowmine.engine.authentication import authentication_types
from flowmine.engine.config import Config
from flowmine.engine.index import Index, compile_index
from flowmine.engine.judgement import Judgement, judge
from flowmine.engine.queries import Queries, queries_of
from flowmine.engine.requests import parsers
from flowmine.engine.table import queries_from_table
from flowmine.engine.verdict import Outcome, SideJudgement, match
from flowmine.errors import PolicyError
from flowmine.policy import files
from flowmine.policy.codec import Unknown, from_dict, to_yaml_stream
from flowmine.policy.kinds import GATEWAY
from flowmine.policy.model import CidrGroup, Policy
from flowmine.policy.problems import Problem, Severity, Stage
from flowmine.policy.shape import without_nulls
from flowmine.policy.validate import Features, validate

__all__ = ["PolicyProblem", "PolicySet"]


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """Why a policy has no effect: its place (file and document, or number), its `Kind/namespace/name`, and what is wrong."""

    where: str
    policy: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.where}: {self.policy}: {self.problem}"


class PolicySet:
    """Policies of all three kinds with the CIDR groups they refer to, judged together as one cluster's.

    ``documents`` are the manifests that they were read from, ``skipped`` what was passed over.

    >>> manifest = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "closed"},
    ...             "spec": {"endpointSelector": {}, "ingress": [{}]}}
    >>> pod = {"labels": ["k8s:app=a", "k8s:io.kubernetes.pod.namespace=default"]}
    >>> query = {"src": pod, "dst": pod, "protocol": "TCP", "port": 80}
    >>> PolicySet.from_dicts([manifest]).verdicts([query])[0]["ingress"]
    'denied'
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        groups: Iterable[CidrGroup] = (),
        config: Config | None = None,
        problems: Iterable[PolicyProblem] = (),
    ) -> None:
        """Take policies that Cilium accepts; see `from_dicts` and `load` for those yet to be checked."""
        self.policies = tuple(policies)
        self.groups = tuple(groups)
        self.config = config or Config()
        self.documents: tuple[files.Document, ...] = ()
        self.skipped: tuple[files.Skipped, ...] = ()
        self._problems = tuple(problems)

    @classmethod
    def from_policies(
        cls, policies: Iterable[Policy], groups: Iterable[CidrGroup] = (), config: Config | None = None
    ) -> Self:
        """Return the set of policies that were made by program, without checking them: the fast way."""
        return cls(policies, groups, config)

    @classmethod
    def from_dicts(
        cls,
        objects: Iterable[Mapping[str, Any]],
        *,
        enforcement: str = "default",
        config: Mapping[str, Any] | None = None,
        unknown: Unknown = "prune",
        strict: bool = False,
    ) -> Self:
        """Return the set of these manifests; CiliumCIDRGroup objects may be among them.

        Of two objects with one kind, namespace and name the later counts, as for `kubectl apply`. A policy that Cilium would refuse has no effect and is told by `problems`; with `strict` it raises PolicyError.
        `unknown="prune"` drops unknown fields as the API server does, `"error"` refuses them as kubectl does.
        `enforcement` and `config` are those of `Config.of`, which raises UsageError.
        """
        manifests = list(objects)
        placed = [(f"object {number}", value) for number, value in enumerate(manifests)]
        made = cls._checked(placed, Config.of(enforcement, config), unknown, strict)
        made.documents = tuple(
            files.Document("object", number, 0, value) for number, value in enumerate(manifests)
        )
        return made

    @classmethod
    def load(
        cls,
        *paths: str | os.PathLike[str],
        enforcement: str = "default",
        config: Mapping[str, Any] | None = None,
        unknown: Unknown = "error",
        strict: bool = False,
    ) -> Self:
        """Return the set of policies in files, folders and (`-`) on stdin; the options are those of `from_dicts`.

        Objects of other kinds are passed over and told by `skipped`. Raise PolicyError where a path cannot be read.
        """
        loaded = files.load(*paths, unknown=unknown)
        judged = [each for each in loaded.documents if _kind(each.value) != GATEWAY]
        placed = [(document.where, document.value) for document in judged]
        made = cls._checked(placed, Config.of(enforcement, config), unknown, strict)
        made.documents = loaded.documents
        others = [each for each in loaded.documents if _kind(each.value) == GATEWAY]
        gateways = [
            files.Skipped(each.where, GATEWAY, "it routes traffic and allows none") for each in others
        ]
        made.skipped = (*loaded.skipped, *gateways)
        return made

    @classmethod
    def _checked(
        cls, placed: Sequence[tuple[str, Any]], config: Config, unknown: Unknown, strict: bool
    ) -> Self:
        accepted: dict[str, Policy | CidrGroup] = {}
        problems: list[PolicyProblem] = []
        for where, value in placed:
            found = _problems(value, config, unknown)
            if not found:
                accepted[_ref(value)] = from_dict(value, unknown)
            problems += (PolicyProblem(where, _ref(value), problem) for problem in found)
        if problems and strict:
            raise PolicyError("; ".join(map(str, problems)))
        kept = accepted.values()
        return cls(
            [each for each in kept if isinstance(each, Policy)],
            [each for each in kept if isinstance(each, CidrGroup)],
            config,
            problems,
        )

    def problems(self) -> list[PolicyProblem]:
        """Return why policies have no effect: those that Cilium would refuse, and fields it does not take."""
        return list(self._problems)

    def to_yaml(self) -> str:
        """Return the policies in effect, and their CIDR groups, as one YAML stream: the same bytes for the same set."""
        return to_yaml_stream([*self.groups, *self.policies])

    @cached_property
    def index(self) -> Index:
        """The set compiled, on first use."""
        return compile_index(self.policies, self.groups, self.config)

    def judge(self, queries: Queries) -> Judgement:
        """Judge a batch of connections; everything else here is a view of this."""
        return judge(match(self.index, queries.parties), queries)

    def evaluate(self, queries: pa.Table, parties: pa.Table | None = None) -> pa.Table:
        """Return the VERDICTS of a QUERIES table over a PARTIES table, a row a query, in order.

        Without `parties` the table holds whole queries, in the columns that `pa.Table.from_pylist` makes of the queries
        of `verdicts`: right for a few thousand, slow for many. Raise SchemaError where a table has other columns,
        InputError where an address, protocol or port is none.
        """
        if parties is None:
            return self.judge(queries_of(map(without_nulls, queries.to_pylist()))).table()
        return self.judge(queries_from_table(queries, parties)).table()

    def verdicts(self, queries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return Cilium's verdict on each query, both in the form of the conformance cases.

        A query is `{"src", "dst", "protocol", "port", "http"?, "dns"?}`; an answer has `egress`, `ingress`, `verdict`,
        `egress_l7`, `ingress_l7`, and where they apply `http_allowed`, `dns_allowed`, `_parser`, `_auth` and `_by` of
        either side, and `error`. Raise InputError where a query has another form.
        """
        judgement = self.judge(queries_of(queries))
        answers = judgement.table().to_pylist()
        for side in (judgement.egress, judgement.ingress):
            _add_details(judgement.index, side, answers)
        return [
            {name: value for name, value in answer.items() if value is not None and value != []}
            for answer in answers
        ]


def _add_details(index: Index, side: SideJudgement, answers: Sequence[dict[str, Any]]) -> None:
    parser, authentication = parsers(index, side), authentication_types(side)
    for answer, question in zip(answers, side.question.tolist(), strict=True):
        answer[f"{side.direction}_parser"] = parser[question] or None
        answer[f"{side.direction}_auth"] = authentication[question]
        if side.outcome[question] == Outcome.ERROR:
            answer["error"] = side.subjects.classes[side.subject_class[question]].error


def _problems(value: Any, config: Config, unknown: Unknown) -> list[Problem]:
    """Return what keeps a manifest out; none where it is taken."""
    features = Features(config.enable_node_selector_labels, config.enable_extended_ip_protocols)
    found = validate(value, unknown=unknown, features=features)
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    if errors:
        return errors
    try:
        from_dict(value, unknown)
    except PolicyError as error:
        return [Problem("", str(error), "mend the manifest", Stage.SCHEMA)]
    return []


def _kind(value: Any) -> Any:
    return value.get("kind") if isinstance(value, Mapping) else None


def _ref(value: Any) -> str:
    """Return a manifest's `Kind/namespace/name` as far as it has them."""
    metadata = value.get("metadata") if isinstance(value, Mapping) else None
    metadata = metadata if isinstance(metadata, Mapping) else {}
    kind = str(_kind(value)) if isinstance(value, Mapping) else type(value).__name__
    wide = kind in ("CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup")
    namespace = "" if wide else str(metadata.get("namespace") or "default")
    return f"{kind}/{namespace}/{metadata.get('name', '')}"
