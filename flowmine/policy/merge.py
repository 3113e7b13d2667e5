"""A folder of policies that people wrote, and what becomes of its files when rules are added.

Files are read once. What is added goes into the text of the file (see `mergetext`) or into a file of its own; links that
lead out of the folder are read, for their policies are in force, and never written.
"""

import copy
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flowmine.errors import PolicyError, UsageError
from flowmine.policy import files
from flowmine.policy.codec import from_dict
from flowmine.policy.files import Document
from flowmine.policy.kinds import GATEWAY
from flowmine.policy.mergetext import Insertion, Outline, Unfit
from flowmine.policy.mergewrite import Change
from flowmine.policy.model import CidrGroup, Direction, Kind, Policy
from flowmine.policy.problems import Severity
from flowmine.policy.validate import validate
from flowmine.policy.yamlread import read_documents
from flowmine.policy.yamlwrite import Path as ManifestPath

__all__ = ["Folder", "Written", "read_folder"]

_BOM = "\ufeff"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|^\.+")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")

Comment = str
Addition = tuple[dict[str, Any], Comment]
"""An entry as JSON types, and the lines above it (empty: none)."""


@dataclass(frozen=True, slots=True)
class Written:
    """A policy in force that somebody wrote, and the document that holds it."""

    policy: Policy
    document: Document

    def rule_path(self, rule: int) -> ManifestPath:
        """Return where the file's document holds a rule."""
        item: ManifestPath = () if self.document.item is None else ("items", self.document.item)
        single = self.document.value.get("spec") is not None
        return (*item, "spec") if single and rule == 0 else (*item, "specs", rule - single)

    def place(self, rule: int) -> str:
        """Return where a rule stands, for people: `file:document:path`."""
        single = self.document.value.get("spec") is not None
        return self.document.at("spec" if single and rule == 0 else f"specs[{rule - single}]")


@dataclass(frozen=True)
class _File:
    """A file of the folder: its real path, its name in the folder, and its bytes as they were read."""

    path: Path
    name: str
    data: bytes

    @cached_property
    def text(self) -> str:
        """The text without the mark that some editors put first. Raise Unfit where it is no UTF-8."""
        try:
            return self.data.decode("utf-8").removeprefix(_BOM)
        except UnicodeDecodeError as error:
            raise Unfit("it is no UTF-8") from error

    @cached_property
    def outline(self) -> Outline:
        """Where everything stands in it. Raise Unfit where it cannot be extended."""
        return Outline(self.text)

    def values(self, text: str) -> list[Any]:
        """Return the values of all documents in a text of this file, empty ones apart."""
        return [each.value for each in read_documents(text, self.name)]


@dataclass(frozen=True)
class Folder:
    """What a folder holds: the policies in force, CIDR groups, and why some policies are not in force (sentences).

    ``refused`` are the references (`Kind/namespace/name`) of those that Cilium would refuse.
    """

    root: Path
    written: tuple[Written, ...] = ()
    groups: tuple[CidrGroup, ...] = ()
    problems: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()
    _files: Mapping[str, _File] = field(default_factory=dict)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies in force alone."""
        return tuple(each.policy for each in self.written)

    def takes(self, written: Written, rule: int, direction: Direction) -> bool:
        """Tell whether entries can be added to a rule where it stands."""
        file = self._files.get(written.document.file)
        if file is None or written.policy.kind is not Kind.CNP:
            return False
        probe = Insertion(written.document.index, written.rule_path(rule), direction.value, (({}, ""),))
        try:
            file.outline.with_entries([probe])
        except Unfit:
            return False
        return True

    def extend(self, additions: Mapping[tuple[int, int, Direction], tuple[Addition, ...]]) -> list[Change]:
        """Return the changed files, by name; the additions are by place in `written`, rule and direction.

        Raise PolicyError where a file's text does not come to mean exactly what is asked for.
        """
        by_file: dict[str, list[Insertion]] = {}
        for (place, rule, direction), entries in additions.items():
            written = self.written[place]
            insertion = Insertion(
                written.document.index, written.rule_path(rule), direction.value, tuple(entries)
            )
            by_file.setdefault(written.document.file, []).append(insertion)
        changes = [_extended(self._files[file], insertions) for file, insertions in by_file.items()]
        return sorted(changes, key=lambda each: each.name)

    def add(self, texts: Iterable[tuple[Policy, str]]) -> list[Change]:
        """Return the new files for policies with their texts; no file that is there is taken."""
        changes: list[Change] = []
        taken: set[Path] = set()
        for policy, text in texts:
            path = self._free(policy, taken)
            taken.add(path)
            name = path.relative_to(self.root).as_posix()
            changes.append(Change(name, path, None, text.encode("utf-8")))
        return sorted(changes, key=lambda each: each.name)

    def unlisted(self, changes: Iterable[Change]) -> list[str]:
        """Return the kustomizations (names in the folder) that may have to list new files among these changes."""
        found = set()
        for change in changes:
            above = [each for each in change.path.parents if each.is_relative_to(self.root)]
            for folder in above if change.before is None else ():
                found |= {folder / name for name in _KUSTOMIZATIONS if (folder / name).is_file()}
        return sorted(each.relative_to(self.root).as_posix() for each in found)

    def _free(self, policy: Policy, taken: set[Path]) -> Path:
        """Return a path for a new policy: beside the others of its namespace, else as `recommend -o` lays them out."""
        namespace, name = _safe(policy.namespace or "default"), _safe(policy.name)
        homes = Counter(
            Path(each.document.file).parent
            for each in self.written
            if (each.policy.namespace or "default") == policy.namespace and each.document.file in self._files
        )
        flat = {Path(file).parent for file in self._files} == {self.root}
        home = (
            min(homes, key=lambda each: (-homes[each], each))
            if homes
            else self.root / ("" if flat else namespace)
        )
        if not home.resolve().is_relative_to(self.root.resolve()):
            home = self.root
        others = any(
            Path(each.document.file).parent == home
            and (each.policy.namespace or "default") != policy.namespace
            for each in self.written
        )
        stem = f"{namespace}-{name}" if others or (home == self.root and not homes) else name
        number = 1
        while True:
            path = home / f"{stem}{'' if number == 1 else f'-{number}'}.yaml"
            if path not in taken and not os.path.lexists(path):
                return path
            number += 1


def read_folder(root: Path) -> Folder:
    """Read a folder of policies; one that is not there is empty.

    Of two objects with one kind, namespace and name the later counts. Policies that Cilium would refuse are told in
    `problems` and left alone. Raise UsageError where the path is no folder, PolicyError where a file cannot be read.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: is a file; name the folder that holds the policies (--into DIR)")
    if not root.exists():
        return Folder(root)
    inside, held, documents = root.resolve(), {}, {}
    seen: dict[Path, str] = {}
    for document in files.load(root).documents:
        path = Path(document.file).resolve()
        if seen.setdefault(path, document.file) != document.file:
            continue
        if path.is_relative_to(inside) and document.file not in held:
            held[document.file] = _File(path, _name(document.file, root), path.read_bytes())
        documents[document.where] = document
    return _folder(root, list(documents.values()), held)


def _folder(root: Path, documents: Iterable[Document], held: Mapping[str, _File]) -> Folder:
    found: dict[tuple[Any, ...], Written | CidrGroup] = {}
    problems: list[str] = []
    refused: set[str] = set()
    for document in documents:
        if isinstance(document.value, dict) and document.value.get("kind") == GATEWAY:
            continue
        errors = [each for each in validate(document.value) if each.severity is Severity.ERROR]
        if errors:
            problems.append(f"{document.at(errors[0].path)}: Cilium would refuse it: {errors[0].message}")
            refused.add(_ref(document.value))
            continue
        value = from_dict(document.value)
        key = (type(value), value.name) if isinstance(value, CidrGroup) else (value.ref,)
        if key in found:
            problems.append(f"{document.where}: it takes the place of an earlier policy of that name")
            del found[key]
        found[key] = value if isinstance(value, CidrGroup) else Written(value, document)
    return Folder(
        root,
        tuple(each for each in found.values() if isinstance(each, Written)),
        tuple(each for each in found.values() if isinstance(each, CidrGroup)),
        tuple(problems),
        frozenset(refused),
        held,
    )


def _extended(file: _File, insertions: list[Insertion]) -> Change:
    """Return a file's change, checked: its documents mean what they did, and what was added."""
    try:
        text = file.outline.with_entries(insertions)
        intact = file.values(text) == _expected(file, insertions)
    except (Unfit, PolicyError) as error:
        raise PolicyError(
            f"{file.name}: cannot be extended where it stands, nothing was written: {error}"
        ) from error
    if not intact:
        raise PolicyError(
            f"{file.name}: cannot be extended where it stands, nothing was written; move its policies into a file "
            "of plain YAML"
        )
    mark = _BOM if file.data.startswith(_BOM.encode()) else ""
    return Change(file.name, file.path, file.data, f"{mark}{text}".encode())


def _expected(file: _File, insertions: Iterable[Insertion]) -> list[Any]:
    parsed = copy.deepcopy(list(read_documents(file.text, file.name)))
    by_index = {each.index + 1: each.value for each in parsed}
    for insertion in insertions:
        rule = by_index[insertion.document]
        for key in insertion.path:
            rule = rule[key]
        rule[insertion.section] = [
            *(rule.get(insertion.section) or ()),
            *(entry for entry, _ in insertion.entries),
        ]
    return [each.value for each in parsed]


def _ref(value: Any) -> str:
    """Return a manifest's reference as far as it has one."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    named = metadata if isinstance(metadata, dict) else {}
    kind = value.get("kind") if isinstance(value, dict) else None
    namespace = "" if kind == Kind.CCNP else named.get("namespace") or "default"
    return f"{kind}/{namespace}/{named.get('name')}"


def _name(file: str, root: Path) -> str:
    return Path(file).relative_to(root).as_posix()


def _safe(name: str) -> str:
    """Return a name as a part of a path: what could lead elsewhere is an underscore."""
    return _UNSAFE.sub("_", name) or "_"
