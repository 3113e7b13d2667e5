"""Changes to a manifest as JSON patch operations (RFC 6902): applied to a value, and as a `kubectl patch` to paste."""

import json
import shlex
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from flowmine.policy.model import Kind

__all__ = [
    "END",
    "Op",
    "Path",
    "add",
    "applied",
    "json_patch",
    "kubectl_patch",
    "pointer",
    "remove",
    "value_at",
]

Path = tuple[str | int, ...]

END = "-"
"""As the last part of a path: the end of a list."""

_RESOURCES = {Kind.CNP: "cnp", Kind.CCNP: "ccnp", Kind.KNP: "networkpolicy"}


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: `add` (a list item at `END`, or a field), `remove`, or `test` (the rest only if this is so)."""

    op: str
    path: Path
    value: Any = None


def add(path: Path, value: Any) -> Op:
    """Return the operation that adds a value."""
    return Op("add", path, value)


def remove(path: Path) -> Op:
    """Return the operation that takes away what stands at a path."""
    return Op("remove", path)


def applied(manifest: Any, ops: Iterable[Op]) -> Any:
    """Return a copy of a manifest with the operations done.

    Raise KeyError or IndexError where a path leads nowhere, ValueError where a test fails.

    >>> applied({"spec": {"ingress": []}}, [add(("spec", "ingress", END), {})])
    {'spec': {'ingress': [{}]}}
    """
    made = deepcopy(manifest)
    for op in ops:
        parent, last = value_at(made, op.path[:-1]), op.path[-1]
        if op.op == "test":
            if parent[last] != op.value:
                raise ValueError(f"{pointer(op.path)} is another than expected")
        elif op.op == "remove":
            del parent[last]
        elif isinstance(parent, list):
            parent.insert(len(parent) if last == END else int(last), deepcopy(op.value))
        else:
            parent[last] = deepcopy(op.value)
    return made


def value_at(manifest: Any, path: Path) -> Any:
    """Return what stands at a path. Raise KeyError or IndexError where it leads nowhere."""
    for part in path:
        manifest = manifest[part]
    return manifest


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer (RFC 6901).

    >>> pointer(("metadata", "a/b", 0))
    '/metadata/a~1b/0'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def json_patch(ops: Sequence[Op]) -> list[dict[str, Any]]:
    """Return the operations as a JSON patch."""
    return [
        {"op": op.op, "path": pointer(op.path)} | ({} if op.op == "remove" else {"value": op.value})
        for op in ops
    ]


def kubectl_patch(kind: Kind, namespace: str | None, name: str, ops: Sequence[Op]) -> str:
    """Return the shell command that patches the object in the cluster."""
    where = [] if kind is Kind.CCNP else ["-n", namespace or "default"]
    patch = json.dumps(json_patch(ops), ensure_ascii=False)
    return shlex.join(["kubectl", "patch", _RESOURCES[kind], name, *where, "--type=json", "-p", patch])
