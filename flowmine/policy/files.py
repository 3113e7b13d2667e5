"""Policies in files: YAML streams, JSON, `List` objects and what `kubectl get` prints, in folders or on stdin.

Every document keeps where it came from. What is no policy is passed over and named.
"""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from flowmine.errors import PolicyError
from flowmine.policy.codec import Unknown, from_dict
from flowmine.policy.kinds import KINDS, NETWORK_POLICY
from flowmine.policy.model import CidrGroup, Policy
from flowmine.policy.yamlread import MAX_BYTES, Parsed, read_documents

__all__ = ["Document", "Loaded", "Skipped", "load", "read_texts"]

_log = logging.getLogger(__name__)

_SUFFIXES = (".yaml", ".yml", ".json")
_POLICY_GROUPS = ("cilium.io", "networking.k8s.io")
_OTHER_KINDS = frozenset(
    [
        "CiliumNode",
        "CiliumEndpoint",
        "CiliumEndpointSlice",
        "CiliumIdentity",
        "CiliumExternalWorkload",
        "CiliumEnvoyConfig",
        "CiliumClusterwideEnvoyConfig",
        "CiliumLocalRedirectPolicy",
        "CiliumLoadBalancerIPPool",
        "CiliumPodIPPool",
        "CiliumNodeConfig",
        "CiliumL2AnnouncementPolicy",
        "CiliumGatewayClassConfig",
        "CiliumVTEPConfig",
        "CiliumBGPPeeringPolicy",
        "CiliumBGPClusterConfig",
        "CiliumBGPPeerConfig",
        "CiliumBGPAdvertisement",
        "CiliumBGPNodeConfig",
        "CiliumBGPNodeConfigOverride",
        "Ingress",
        "IngressClass",
        "IPAddress",
        "ServiceCIDR",
    ]
)
"""The kinds of the policies' own API groups that are no policies; any other kind there is a misspelt one."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file, as it was written (JSON types).

    `index` is the document's place in its stream, from 1; `item` its place in a `List` object, from 0; `line` the
    document's first line, from 1.
    """

    file: str
    index: int
    line: int
    value: Any
    item: int | None = None

    @property
    def where(self) -> str:
        """The object's place, `file:document`, or `file:document:items[n]`."""
        return f"{self.file}:{self.index}" + ("" if self.item is None else f":items[{self.item}]")

    def at(self, path: str) -> str:
        """Return the place of a path within the object, `file:document:path`."""
        if not path:
            return self.where
        return f"{self.where}:{path}" if self.item is None else f"{self.where}.{path}"

    def decode(self, unknown: Unknown = "error") -> Policy | CidrGroup:
        """Return the policy; raises PolicyError as `codec.from_dict` does, with the place before it."""
        try:
            return from_dict(self.value, unknown)
        except PolicyError as error:
            raise PolicyError(f"{self.where}: {error}") from error


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that is no policy, and why it was passed over."""

    where: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What some paths hold: the policies, in the order of the paths, and what was passed over."""

    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...]


def load(*paths: str | os.PathLike[str], stdin: BinaryIO | None = None, unknown: Unknown = "error") -> Loaded:
    """Read policies from files, folders (recursively: *.yaml, *.yml, *.json) and, for `-`, from stdin.

    In a file that is named itself, an object without a kind counts as a policy, so that it is complained of; in a folder
    it is passed over. With `unknown="prune"` the last of a key's repetitions counts, as for the API server; else they are
    errors. Raises PolicyError where a path does not exist, cannot be read, or is no YAML within bounds.
    """
    documents: list[Document] = []
    skipped: list[Skipped] = []
    for path in paths:
        if os.fspath(path) == "-":
            found = _read("stdin", stdin or sys.stdin.buffer, unknown)
        else:
            found = _read_path(Path(path), unknown)
        folder = os.fspath(path) != "-" and os.path.isdir(path)  # noqa: PTH112
        for document in found:
            reason = _reason_to_skip(document.value, folder=folder)
            if reason is None:
                documents.append(document)
            else:
                skipped.append(Skipped(document.where, _called(document.value), reason))
                _log.info("%s: %s passed over: %s", document.where, skipped[-1].what, reason)
    return Loaded(tuple(documents), tuple(skipped))


def read_texts(documents: Iterable[Document]) -> dict[str, str]:
    """Return the text of each file that documents were read from; stdin's and those that are no UTF-8 are left out."""
    texts = {}
    for file in dict.fromkeys(document.file for document in documents):
        path = Path(file)
        try:
            if path.is_file():
                texts[file] = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return texts


def _read_path(path: Path, unknown: Unknown) -> Iterator[Document]:
    if os.path.isdir(path):  # noqa: PTH112 (which says no of a name too long, and leaves telling to who opens it)
        for file in _files_beneath(path):
            yield from _read_path(file, unknown)
        return
    try:
        with path.open("rb") as stream:
            yield from _read(str(path), stream, unknown)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror or error}; check the path") from error


def _files_beneath(folder: Path) -> list[Path]:
    """Return the manifests of a folder, sorted; hidden files and folders, and linked folders, are passed over."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in names if not name.startswith(".") and name.endswith(_SUFFIXES)]
    return sorted(found)


def _read(name: str, stream: BinaryIO, unknown: Unknown) -> Iterator[Document]:
    text = stream.read(MAX_BYTES + 1)
    for parsed in read_documents(text, name, repeated_keys=unknown == "prune"):
        yield from _objects(name, parsed)


def _objects(file: str, parsed: Parsed) -> Iterator[Document]:
    """Yield a document's object, or the items of a `List`; an item without a kind has the kind of its list."""
    value = parsed.value
    kind = value.get("kind") if isinstance(value, dict) else None
    items = value.get("items") if isinstance(kind, str) and kind.endswith("List") else None
    if not isinstance(items, list):
        yield Document(file, parsed.index + 1, parsed.line, value)
        return
    of = str(kind).removesuffix("List")
    for index, item in enumerate(items):
        if of and isinstance(item, dict) and "kind" not in item:
            item = {"apiVersion": value.get("apiVersion"), "kind": of, **item}
        yield Document(file, parsed.index + 1, parsed.line, item, index)


def _reason_to_skip(value: Any, *, folder: bool) -> str | None:
    """Return why an object is passed over, or None where it is a policy or has to be complained of."""
    kind = value.get("kind") if isinstance(value, dict) else None
    version = value.get("apiVersion") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not kind:
        return "it has no kind" if folder else None
    group = version.rpartition("/")[0] if isinstance(version, str) else ""
    if kind == NETWORK_POLICY:
        foreign = group and group not in ("networking.k8s.io", "extensions")
        return f"it is of {group}, not of Kubernetes" if foreign else None
    if kind in KINDS or (group in _POLICY_GROUPS and kind not in _OTHER_KINDS):
        return None
    return "it is no policy"


def _called(value: Any) -> str:
    """Return the kind and name of an object."""
    if not isinstance(value, dict):
        return "a document"
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return " ".join(str(part) for part in (value.get("kind") or "an object", name) if part)
