"""Policies to and from manifests, as dicts and as YAML.

The fields, their order and their types come from `manifest` and `kinds`; limits on values are `validate`'s business.
What is not modelled is an error that names every such field at once (`unknown="error"`), or is dropped as the API server
drops it (`unknown="prune"`), which can widen a policy: that is for judging what a cluster runs, not for writing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from flowmine.errors import PolicyError
from flowmine.policy.kinds import (
    CIDR_GROUP,
    CIDR_GROUP_SPEC,
    GATEWAY,
    K8S_SPEC,
    KINDS,
    METADATA,
    NETWORK_POLICY,
    with_zero_items,
)
from flowmine.policy.manifest import RULE
from flowmine.policy.model import CidrGroup, Kind, Policy
from flowmine.policy.problems import shown
from flowmine.policy.shape import (
    FlawKind,
    Many,
    Record,
    Shape,
    Table,
    Whole,
    inspect,
    is_whole,
    nearest,
    pruned,
    without_nulls,
)
from flowmine.policy.yamlread import read_documents
from flowmine.policy.yamlwrite import Comments, write_document

__all__ = ["Unknown", "from_dict", "from_yaml", "to_dict", "to_yaml", "to_yaml_stream"]

Unknown = Literal["error", "prune"]
_CLIENT_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def from_dict(obj: Any, unknown: Unknown = "error") -> Policy | CidrGroup:
    """Decode one manifest of a CiliumNetworkPolicy, its clusterwide form, a NetworkPolicy or a CiliumCIDRGroup.

    Server-side metadata and `status` are passed over. Raises PolicyError where the object is of no such kind, holds
    values of other types than the API's, or (unless `unknown` is "prune") fields that it does not know.

    >>> policy = from_dict({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "web"},
    ...                     "spec": {"endpointSelector": {"matchLabels": {"app": "web"}}, "ingress": [{}]}})
    >>> policy.ref, policy.rules[0].endpoint_selector.match_labels
    ('CiliumNetworkPolicy/default/web', (('app', 'web'),))
    """
    kind = _kind_of(obj)
    value = _checked(obj, kind, unknown)
    metadata = {"name": "", **_decode(METADATA, value["metadata"])}
    for name in ("namespace", "generate_name"):
        metadata[name] = metadata.get(name) or None
    metadata["annotations"] = [
        pair for pair in metadata.get("annotations", ()) if pair[0] != _CLIENT_ANNOTATION
    ]
    if kind == CIDR_GROUP:
        metadata.pop("namespace", None)
        return CidrGroup(external_cidrs=_decode(CIDR_GROUP_SPEC, value["spec"]), **metadata)
    if kind == NETWORK_POLICY:
        return Policy(Kind.KNP, network_policy=_decode(K8S_SPEC, value.get("spec", {})), **metadata)
    if "spec" not in value and "specs" not in value:
        raise PolicyError(f"{_name(value, kind)}: it has neither spec nor specs; write spec with a rule")
    specs = [*([value["spec"]] if "spec" in value else []), *value.get("specs", [])]
    return Policy(Kind(kind), rules=tuple(_decode(RULE, spec) for spec in specs), **metadata)


def to_dict(policy: Policy | CidrGroup) -> dict[str, Any]:
    """Return the manifest of a policy, its fields in the order in which people write them."""
    if isinstance(policy, CidrGroup):
        return {
            "apiVersion": KINDS[CIDR_GROUP].versions[0],
            "kind": CIDR_GROUP,
            "metadata": _encode(METADATA, policy),
            "spec": {"externalCIDRs": list(policy.external_cidrs)},
        }
    manifest: dict[str, Any] = {
        "apiVersion": KINDS[policy.kind.value].versions[0],
        "kind": policy.kind.value,
        "metadata": _encode(METADATA, policy),
    }
    if policy.network_policy is not None:
        manifest["spec"] = _encode(K8S_SPEC, policy.network_policy)
    elif len(policy.rules) == 1:
        manifest["spec"] = _encode(RULE, policy.rules[0])
    else:
        manifest["specs"] = [_encode(RULE, rule) for rule in policy.rules]
    return manifest


def from_yaml(text: str | bytes, unknown: Unknown = "error") -> tuple[Policy | CidrGroup, ...]:
    """Decode every document of a YAML text; raises PolicyError as `from_dict` does, and for YAML it does not take."""
    return tuple(from_dict(document.value, unknown) for document in read_documents(text, "the YAML text"))


def to_yaml(policy: Policy | CidrGroup, comments: Comments | None = None) -> str:
    """Return the manifest as YAML, the same bytes for the same policy.

    `comments` maps a path in the manifest, such as `("spec", "ingress", 0)`, to a text that is written above it; the
    empty path stands for the whole document.
    """
    return write_document(to_dict(policy), comments or {})


def to_yaml_stream(
    policies: Iterable[Policy | CidrGroup], comments: Mapping[int, Comments] | None = None
) -> str:
    """Return several manifests as one YAML stream; `comments` are by the policy's place."""
    known = comments or {}
    return "---\n".join(to_yaml(policy, known.get(index)) for index, policy in enumerate(policies))


def _kind_of(obj: Any) -> str:
    """Return the object's kind; raises PolicyError where it is none that can be decoded."""
    if not isinstance(obj, dict):
        raise PolicyError("a policy must be an object with apiVersion, kind, metadata and spec")
    kind, version = obj.get("kind"), obj.get("apiVersion")
    decodable = [each for each in KINDS if each != GATEWAY]
    if kind not in decodable:
        close = nearest(kind, decodable) if isinstance(kind, str) else None
        raise PolicyError(
            f"kind {shown(kind)} is no policy (known: {', '.join(decodable)})"
            + (f"; did you mean {close}?" if close else "")
        )
    if version not in KINDS[kind].versions:
        wanted = KINDS[kind].versions[0]
        raise PolicyError(
            f"{_name(obj, kind)}: apiVersion {shown(version)} has no {kind}; write apiVersion: {wanted}"
        )
    return str(kind)


def _checked(obj: dict[str, Any], kind: str, unknown: Unknown) -> dict[str, Any]:
    """Return the object as the API server stores it; raises PolicyError naming every field that cannot be decoded."""
    shape = KINDS[kind]
    value = without_nulls(obj)
    if unknown == "prune":
        value = pruned(shape.manifest, value)
    if shape.zero_items:
        value = with_zero_items(shape.manifest, value)
    flaws = [flaw for flaw in inspect(shape.manifest, value, "") if flaw.kind is not FlawKind.LIMIT]
    if flaws:
        told = "; ".join(f"{flaw.path}: {flaw.message} ({flaw.fix})" for flaw in flaws)
        raise PolicyError(f"{_name(value, kind)}: {told}")
    return dict(value)


def _name(obj: dict[str, Any], kind: str) -> str:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{kind} {name}" if name else kind


def _decode(shape: Shape, value: Any) -> Any:
    """Return the model's value; the caller has inspected the types."""
    if isinstance(shape, Record):
        attributes = {
            field.attribute: _decode(field.shape, value[field.name])
            for field in shape.fields
            if field.attribute and field.name in value
        }
        if shape.model is not None:
            return shape.model(**attributes)
        only = shape.fields[0].attribute if len(shape.fields) == 1 else None
        return attributes.get(only) if only else attributes
    if isinstance(shape, Many):
        return tuple(_decode(shape.item, item) for item in value)
    if isinstance(shape, Table):
        return tuple(sorted(value.items()))
    return int(value) if isinstance(shape, Whole) or (isinstance(value, float) and is_whole(value)) else value


def _encode(shape: Shape, value: Any) -> Any:
    """Return the manifest's value, without the fields that are absent."""
    if isinstance(shape, Record):
        if shape.model is None and len(shape.fields) == 1:
            return {shape.fields[0].name: _encode(shape.fields[0].shape, value)}
        found = {}
        for field in shape.fields:
            item = getattr(value, field.attribute, None) if field.attribute else None
            if item is None or (item == () and not field.keep_empty):
                continue
            found[field.name] = _encode(field.shape, item)
        return found
    if isinstance(shape, Many):
        return [_encode(shape.item, item) for item in value]
    if isinstance(shape, Table):
        return dict(value)
    return str(value) if isinstance(value, str) else value
