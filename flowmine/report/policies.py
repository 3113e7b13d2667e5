"""Recommended policies as YAML: one stream, or a folder that `kubectl apply -R -f` takes, with the reasons as comments."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from flowmine.errors import UsageError
from flowmine.outputs import make_folder, refuse_ways_out, write_all
from flowmine.policy.codec import to_dict, to_yaml
from flowmine.policy.model import Kind, Policy
from flowmine.policy.yamlwrite import write_document
from flowmine.synth.assemble import Proposal
from flowmine.synth.draft import Reason
from flowmine.synth.evidence import Evidence
from flowmine.synth.gateway import GatewayPolicy

__all__ = [
    "EvidenceIn",
    "Item",
    "Witnesses",
    "as_list",
    "cluster_folder",
    "comment_on",
    "documents",
    "folder",
    "stream",
    "write_folder",
]

_WIDTH = 100
_CLUSTER_WIDE = "_cluster"
_PREFIX = "flowmine/"
_COMMAND = "kubectl "

Item = Proposal | GatewayPolicy
"""What becomes a document of its own."""

AnyItem = TypeVar("AnyItem", bound=Item)
Witnesses = Callable[[Sequence[int]], Evidence]


class EvidenceIn(StrEnum):
    """Where the evidence of each rule goes."""

    NONE = "none"
    COMMENTS = "comments"
    ANNOTATIONS = "annotations"


def documents(
    proposals: Iterable[AnyItem], witness: Witnesses, where: EvidenceIn
) -> Iterator[tuple[AnyItem, str]]:
    """Yield each proposal with its manifest, in the order given."""
    for proposal in proposals:
        yield proposal, _document(proposal, witness, where)


def stream(proposals: Sequence[Item], witness: Witnesses, where: EvidenceIn = EvidenceIn.COMMENTS) -> str:
    """Return all policies as one YAML stream; policies of several clusters say whose they are."""
    several = len({proposal.cluster for proposal in proposals}) > 1
    texts = []
    for proposal, text in documents(proposals, witness, where):
        texts.append(f"# cluster {proposal.cluster}\n{text}" if several else text)
    return "---\n".join(texts)


def folder(
    proposals: Sequence[Item], witness: Witnesses, where: EvidenceIn = EvidenceIn.COMMENTS
) -> dict[str, str]:
    """Return the files of a folder by their relative path: `NAMESPACE/NAME.yaml`, cluster-wide ones in `_cluster/`.

    Where the policies are of several clusters, each cluster has a folder of its own around these.
    """
    several = len({proposal.cluster for proposal in proposals}) > 1
    files: dict[str, str] = {}
    for proposal, text in documents(proposals, witness, where):
        path = _path(proposal)
        files[f"{cluster_folder(proposal.cluster)}/{path}" if several else path] = text
    return files


def as_list(proposals: Sequence[Item], witness: Witnesses, where: EvidenceIn) -> dict[str, Any]:
    """Return the policies as a Kubernetes List object; evidence goes into annotations where it is asked for there.

    ``items`` are an iterator: each is made when it is asked for (`jsontext`).
    """
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": (_manifest(each, witness, where) for each in proposals),
    }


def _manifest(item: Item, witness: Witnesses, where: EvidenceIn) -> dict[str, Any]:
    if isinstance(item, GatewayPolicy):
        return item.manifest
    return to_dict(_annotated(item, witness) if where is EvidenceIn.ANNOTATIONS else item.policy)


def _path(item: Item) -> str:
    if isinstance(item, GatewayPolicy):
        return f"{_CLUSTER_WIDE}/{item.name}.yaml"
    policy = item.policy
    home = _CLUSTER_WIDE if policy.kind is Kind.CCNP else policy.namespace or "default"
    return f"{home}/{policy.name}.yaml"


def write_folder(files: dict[str, str], target: Path) -> tuple[str, ...]:
    """Write the files into a folder, all of them or none: a folder that is not there is made beside its place.

    Files of the same path are replaced, others stay; a symbolic link that leads out of the folder is refused. Returns the other policy files (by relative path), for they may be
    of an earlier run. Raises UsageError where the target cannot be written.
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target}: it is a file; name a folder (-o DIR)")
    texts = {path: text.encode("utf-8") for path, text in sorted(files.items())}
    try:
        if target.exists():
            for path in texts:
                refuse_ways_out(target, target / path)
            write_all({target / path: text for path, text in texts.items()})
        else:
            make_folder(target, texts)
    except OSError as error:
        raise UsageError(f"{target}: cannot write the policies there: {error}") from error
    found = (path.relative_to(target).as_posix() for path in target.rglob("*.yaml"))
    return tuple(sorted(path for path in found if path not in files))


def cluster_folder(cluster: str) -> str:
    """Return the name of a cluster's folder, where there are several."""
    return cluster if cluster and cluster.strip(".") and "/" not in cluster else "_unnamed"


def _document(proposal: Item, witness: Witnesses, where: EvidenceIn) -> str:
    if isinstance(proposal, GatewayPolicy):
        about = f"{proposal.about}: {witness(proposal.rows)}"
        told: dict[tuple[str | int, ...], str] = (
            {} if where is EvidenceIn.NONE else {(): "\n".join(_wrapped(about, _WIDTH))}
        )
        return write_document(proposal.manifest, told)
    policy = proposal.policy
    if where is EvidenceIn.ANNOTATIONS:
        return to_yaml(_annotated(proposal, witness))
    if where is EvidenceIn.NONE:
        return to_yaml(policy)
    comments: dict[tuple[str | int, ...], str] = {}
    if proposal.notes:
        comments[()] = "\n".join(line for note in proposal.notes for line in _wrapped(note, _WIDTH))
    for (rule, direction, entry), reason in proposal.reasons.items():
        spec: tuple[str | int, ...] = ("spec",) if policy.path(rule) == "spec" else ("specs", rule)
        comments[*spec, direction.value, entry] = comment_on(reason, witness)
    return to_yaml(policy, comments)


def comment_on(reason: Reason, witness: Witnesses) -> str:
    """Return the lines that stand above an entry: whom it is for, what was seen, what goes beyond that and why."""
    return "\n".join(line for text in _told(reason, witness) for line in _wrapped(text, _WIDTH - 10))


def _told(reason: Reason, witness: Witnesses) -> Iterator[str]:
    """Yield what is to be said of an entry: whom it is for, what was seen, what goes beyond that and why."""
    if reason.rows:
        yield f"{reason.about}: {witness(reason.rows)}"
    else:
        yield reason.about
    for note in reason.notes:
        yield f"{note.what}: {note.evidence} ({note.threshold})"
    if reason.required:
        yield f"required: {reason.required}"
    yield from reason.remarks


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines, never inside a word and never a command; what a flow put into it stays one comment."""
    plain = " ".join(text.split())
    if plain.startswith(_COMMAND):
        return [plain]
    return textwrap.wrap(plain, width, break_long_words=False, break_on_hyphens=False) or [""]


def _annotated(proposal: Proposal, witness: Witnesses) -> Policy:
    found = dict(proposal.policy.annotations)
    for place, note in enumerate(proposal.notes):
        found[f"{_PREFIX}note-{place}"] = note
    for (rule, direction, entry), reason in sorted(proposal.reasons.items()):
        name = (
            f"{direction}-{entry}"
            if proposal.policy.path(rule) == "spec"
            else f"rule-{rule}-{direction}-{entry}"
        )
        found[f"{_PREFIX}{name}"] = "; ".join(_told(reason, witness))
    policy = proposal.policy
    return Policy(
        policy.kind,
        policy.name,
        namespace=policy.namespace,
        rules=policy.rules,
        network_policy=policy.network_policy,
        labels=policy.labels,
        annotations=tuple(sorted(found.items())),
    )
