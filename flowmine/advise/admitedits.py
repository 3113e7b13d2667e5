"""A change as people take it over: the rule, a unified diff against the file it lives in, and a command to paste."""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from flowmine.advise.admit import Admission
from flowmine.advise.admitcandidates import Action, Candidate
from flowmine.advise.admitops import Op, add, applied, kubectl_patch, value_at
from flowmine.advise.admittext import edited, unified
from flowmine.advise.inforce import InForce
from flowmine.policy.files import Document
from flowmine.policy.model import Kind
from flowmine.policy.yamlwrite import write_document

__all__ = ["Edit", "Texts", "combined", "edits_of"]

Texts = Mapping[str, str]
"""The text of each file that policies were read from."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be done to one policy.

    ``rule`` is the YAML that is added (or taken away); ``places`` are JSON paths in the manifest; ``diff`` is against
    ``file`` (against the policy's plain YAML where it has none that can be edited by lines); ``command`` does the same to the cluster.
    """

    action: Action
    ref: str
    kind: Kind
    namespace: str | None
    name: str
    places: tuple[str, ...]
    rule: str
    diff: str
    command: str
    manifest: Mapping[str, Any]
    ops: tuple[Op, ...] = ()
    file: str = ""
    document: int = 0


def edits_of(admission: Admission, policies: InForce, texts: Texts) -> tuple[Edit, ...]:
    """Return a change policy by policy, in the order of its steps."""
    steps: dict[str, list[Candidate]] = defaultdict(list)
    for step in admission.steps:
        steps[step.ref].append(step)
    return tuple(_edit(ref, some, admission.manifests[ref], policies, texts) for ref, some in steps.items())


def _edit(
    ref: str, steps: list[Candidate], after: Mapping[str, Any], policies: InForce, texts: Texts
) -> Edit:
    kind, metadata = Kind(after["kind"]), after["metadata"]
    name, namespace = str(metadata["name"]), metadata.get("namespace")
    if kind is not Kind.CCNP:
        namespace = namespace or "default"
    home = policies.homes.get(ref)
    ops = tuple(op for step in steps for op in step.ops)
    if steps[0].action is Action.CREATE:
        file = _new_file(name, namespace, policies)
        diff, rule = unified("", write_document(after, {}), "/dev/null", file), write_document(after, {})
        command = f"kubectl apply -f {shlex.quote(file)}"
    else:
        file = home.file if home and home.file in texts else ""
        diff = _diff(steps[0].manifest, after, ops, home, texts)
        rule = "".join(write_document(step.shown, {}) for step in steps)
        command = kubectl_patch(kind, namespace, name, ops)
    return Edit(
        action=steps[0].action,
        ref=ref,
        kind=kind,
        namespace=namespace,
        name=name,
        places=tuple(dict.fromkeys(step.place for step in steps)),
        rule=rule,
        diff=diff,
        command=command,
        manifest=after,
        ops=ops,
        file=file,
        document=home.index if home and file else 0,
    )


def _diff(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    ops: Iterable[Op],
    home: Document | None,
    texts: Texts,
) -> str:
    """Return the diff of the file's own lines, or of the plain YAML of the manifest where these cannot be edited."""
    if home is not None and home.item is None and home.file in texts:
        text = texts[home.file]
        changed = edited(text, home.index, ops)
        if changed is not None:
            path = home.file.removeprefix("./")
            return unified(text, changed, f"a/{path.lstrip('/')}", f"b/{path.lstrip('/')}")
    name = f"{before['kind']}/{before['metadata'].get('namespace', '')}/{before['metadata']['name']}"
    return unified(write_document(before, {}), write_document(after, {}), f"a/{name}", f"b/{name}")


def _new_file(name: str, namespace: str | None, policies: InForce) -> str:
    """Return where a new policy would be kept: beside one of its namespace, else beside any."""
    files = [
        (ref.split("/")[1] != (namespace or ""), home.file)
        for ref, home in sorted(policies.homes.items())
        if home.file.endswith((".yaml", ".yml"))
    ]
    folder = PurePath(min(files)[1]).parent if files else PurePath()
    return str(folder / f"{name}.yaml")


def combined(
    edits: Iterable[tuple[Admission, str]], policies: InForce
) -> dict[str, tuple[Mapping[str, Any], list[str]]]:
    """Return the manifests, by `Kind/namespace/name`, after all of these changes, with a comment for each.

    What two changes add to one list stands there one after the other; what is there already is not added again.
    """
    made: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for admission, comment in edits:
        for step in admission.steps:
            now, comments = made.get(step.ref, (policies.manifests.get(step.ref, step.manifest), []))
            for op in step.ops:
                now = applied(now, _retargeted(now, op))
            made[step.ref] = (now, [*comments, *([] if comment in comments else [comment])])
    return made


def _retargeted(manifest: Mapping[str, Any], op: Op) -> list[Op]:
    """Return an operation as it is to be done after others: a list that others began is added to."""
    if op.op == "test":
        return []
    parent = value_at(manifest, op.path[:-1])
    if op.op == "remove":
        return [op]
    if isinstance(parent, list):
        return [] if op.value in parent else [op]
    there = parent.get(op.path[-1])
    if isinstance(there, list) and isinstance(op.value, list):
        return [add((*op.path, "-"), each) for each in op.value if each not in there]
    return [op]
