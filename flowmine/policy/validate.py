"""What Kubernetes' API server and Cilium's agent would say of a manifest, without asking them.

It reads manifests as people wrote them (dicts), for what is wrong has no place in the model. It edits nothing.
"""

from collections.abc import Iterator
from typing import Any

from flowmine.policy import limits
from flowmine.policy.codec import Unknown, to_dict
from flowmine.policy.kinds import CIDR_GROUP, GATEWAY, KINDS, NETWORK_POLICY, KindShape, with_zero_items
from flowmine.policy.model import CidrGroup, Kind, Policy
from flowmine.policy.problems import Problem, Severity, Stage, refused, shown
from flowmine.policy.sanitize import check_rule
from flowmine.policy.sanitize_k8s import check_gateway, check_network_policy
from flowmine.policy.sanitize_ports import Features
from flowmine.policy.shape import FlawKind, inspect, nearest, pruned, without_nulls

__all__ = ["Features", "Problem", "Severity", "Stage", "Unknown", "is_accepted", "validate"]

_MAX_ANNOTATIONS = 256 * 1024


def validate(obj: Any, *, unknown: Unknown = "error", features: Features | None = None) -> list[Problem]:
    """Return every problem of a manifest, or of a policy, in the order of its fields; none where it is good.

    CiliumNetworkPolicy, its clusterwide form, NetworkPolicy, CiliumCIDRGroup and CiliumEgressGatewayPolicy are known.
    Unknown fields are errors as for kubectl, or with `unknown="prune"` warnings, for the API server drops them.
    `features` are the agent's options; the default is Cilium's.

    >>> manifest = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "web"},
    ...             "spec": {"endpointSelector": {}, "ingress": [{"fromCIDR": ["172.224.3/32"]}]}}
    >>> [problem.path for problem in validate(manifest)]
    ['spec.ingress[0].fromCIDR[0]']
    """
    if isinstance(obj, Policy | CidrGroup):
        manifest = to_dict(obj)  # nothing unknown, no null
        return _problems(manifest, manifest, unknown, features)
    misfit = _check_kind(obj)
    if misfit:
        return [misfit]
    shape = KINDS[obj["kind"]]
    value = without_nulls(obj)
    if shape.zero_items:
        value = with_zero_items(shape.manifest, value)
    problems = _problems(value, pruned(shape.manifest, value), unknown, features)
    return problems + list(_null_problems(obj, "")) if not shape.zero_items else problems


def _problems(value: Any, kept: Any, unknown: Unknown, features: Features | None) -> list[Problem]:
    """Return the problems of an object of a known kind without null fields; `kept` is what the API server keeps of it."""
    problems, mistyped = _schema_problems(value, KINDS[value["kind"]], unknown)
    if not mistyped:
        known = {problem.path for problem in problems}
        found = _object_problems(kept, value["kind"], features or Features())
        problems += [problem for problem in found if problem.path not in known]
    return problems


def is_accepted(problems: list[Problem]) -> bool:
    """Tell whether a policy with these problems is taken: none of them is an error."""
    return all(problem.severity is Severity.WARNING for problem in problems)


def _check_kind(obj: Any) -> Problem | None:
    """Return the problem of an object that is of no kind that can be checked."""
    if not isinstance(obj, dict):
        fix = "write apiVersion, kind, metadata and spec"
        return Problem("", "is no object", fix, Stage.SCHEMA)
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if not isinstance(kind, str) or kind not in KINDS:
        message = (
            "is missing" if not kind else f"{shown(kind)} is no kind of policy (known: {', '.join(KINDS)})"
        )
        close = nearest(kind, list(KINDS)) if isinstance(kind, str) else None
        return Problem("kind", message, f"write kind: {close or Kind.CNP}", Stage.SCHEMA)
    versions = KINDS[kind].versions
    if version not in versions:
        message = "is missing" if not version else f"{shown(version)} has no {kind}"
        return Problem("apiVersion", message, f"write apiVersion: {versions[0]}", Stage.SCHEMA)
    return None


def _schema_problems(value: Any, shape: KindShape, unknown: Unknown) -> tuple[list[Problem], bool]:
    """Return the problems of the object's shape, and whether a value is of another type than its field."""
    problems, mistyped = [], False
    for flaw in inspect(shape.manifest, value, ""):
        mistyped = mistyped or flaw.kind is FlawKind.TYPE
        if flaw.kind is FlawKind.UNKNOWN and unknown == "prune":
            message = f"{flaw.message}, which the API server drops: the rule may admit more than it says"
            problems.append(Problem(flaw.path, message, flaw.fix, Stage.SCHEMA, Severity.WARNING))
        else:
            problems.append(Problem(flaw.path, flaw.message, flaw.fix, Stage.SCHEMA))
    return problems, mistyped


def _object_problems(value: dict[str, Any], kind: str, features: Features) -> Iterator[Problem]:
    """Yield the problems of metadata, and of what `spec` and `specs` say."""
    yield from _metadata_problems(value["metadata"], kind)
    if kind == NETWORK_POLICY:
        yield from check_network_policy(value.get("spec", {}), "spec")
    elif kind == GATEWAY:
        yield from check_gateway(value["spec"], "spec")
    elif kind == CIDR_GROUP:
        for index, text in enumerate(value["spec"]["externalCIDRs"]):
            found = limits.agent_cidr(text)
            if found:
                yield refused(f"spec.externalCIDRs[{index}]", *found)
    elif kind in (Kind.CNP, Kind.CCNP):
        yield from _rule_problems(value, kind, features)


def _rule_problems(value: dict[str, Any], kind: str, features: Features) -> Iterator[Problem]:
    if "spec" not in value and "specs" not in value:
        yield refused("", "has neither spec nor specs", "write spec with endpointSelector and a rule")
    rules = [("spec", value["spec"])] if "spec" in value else []
    rules += [(f"specs[{index}]", rule) for index, rule in enumerate(value.get("specs", []))]
    namespace = value["metadata"].get("namespace") or "default"
    for path, rule in rules:
        yield from check_rule(rule, path, features, clusterwide=kind == Kind.CCNP, namespace=namespace)


def _metadata_problems(metadata: dict[str, Any], kind: str) -> Iterator[Problem]:
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if not name and not prefix:
        yield Problem("metadata.name", "is missing", "write the policy's name", Stage.SCHEMA)
    if not name and prefix:
        # The server appends to it, so one dash at the end is good (apimachinery's maskTrailingDash).
        found = limits.object_name(f"{prefix[:-1]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix)
        if found:
            yield Problem("metadata.generateName", *found, Stage.SCHEMA)
    if metadata.get("namespace") and not KINDS[kind].namespaced:
        message = f"a {kind} belongs to the whole cluster and has no namespace"
        yield Problem("metadata.namespace", message, "leave it out", Stage.SCHEMA)
    size = sum(
        len(key.encode()) + len(text.encode()) for key, text in metadata.get("annotations", {}).items()
    )
    if size > _MAX_ANNOTATIONS:
        message = f"have {size} bytes, more than {_MAX_ANNOTATIONS}"
        yield Problem("metadata.annotations", message, "leave some out", Stage.SCHEMA)


def _null_problems(value: Any, path: str) -> Iterator[Problem]:
    """Yield a warning for every null field beneath `spec` or `specs`: the API server drops it."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _null_problems(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            at = f"{path}.{name}" if path else str(name)
            if item is None and at.startswith("spec"):
                fix = "leave the field out, or write its value"
                yield Problem(at, "is null, which the API server drops", fix, Stage.SCHEMA, Severity.WARNING)
            elif at.startswith("spec"):
                yield from _null_problems(item, at)
