"""Save a draft into the one folder that was named: `NAMESPACE/NAME.yaml`, cluster-wide policies in `_cluster/`.

Nothing that the page sends is part of a path. Names are checked as Kubernetes checks them, no symbolic link is followed,
and all files are written or none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flowmine.errors import UsageError
from flowmine.outputs import write_all
from flowmine.policy.codec import to_yaml
from flowmine.policy.limits import namespace_name, object_name
from flowmine.policy.model import Kind
from flowmine.web.draft import Draft, Paper

__all__ = ["Saved", "Saver"]

_CLUSTER_WIDE = "_cluster"


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a folder: files written and taken back, and those that others put there."""

    written: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Saver:
    """Writes into one folder, which need not exist; a file that an earlier save wrote goes when its policy has gone."""

    folder: Path
    _mine: dict[str, str] = field(default_factory=dict)

    def save(self, draft: Draft) -> Saved:
        """Write all policies of a draft. Raise UsageError where that cannot be; then nothing is changed."""
        files = _files(draft)
        try:
            for path in {*files, *self._mine}:
                self._refuse_links(path)
            write_all({self.folder / path: text.encode() for path, text in files.items()})
            withdrawn = tuple(
                path for path, text in self._mine.items() if path not in files and self._take(path, text)
            )
        except OSError as error:
            raise UsageError(f"{self.folder}: nothing was saved: {error.strerror or error}") from error
        self._mine = files
        return Saved(tuple(sorted(files)), withdrawn, self._others())

    def _refuse_links(self, path: str) -> None:
        at = self.folder
        for part in Path(path).parts:
            at = at / part
            if at.is_symlink():
                raise UsageError(f"{at}: it is a symbolic link, which is not followed: nothing was saved")

    def _take(self, path: str, text: str) -> bool:
        """Take a file away that an earlier save wrote, unless somebody has changed it since."""
        file = self.folder / path
        if not file.is_file() or file.read_bytes() != text.encode():
            return False
        file.unlink()
        return True

    def _others(self) -> tuple[str, ...]:
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.yaml"))
        return tuple(sorted(path for path in found if path not in self._mine))


def _files(draft: Draft) -> dict[str, str]:
    """Return the files of a draft by their paths. Raise UsageError where a name is none that Kubernetes takes."""
    files: dict[str, str] = {}
    for ref, paper in sorted(draft.papers.items()):
        files[_path(ref, paper, files)] = paper.text
    for group in draft.ground.policies.groups:
        _check(group.name, object_name(group.name))
        files[f"{_CLUSTER_WIDE}/{group.name}~CiliumCIDRGroup.yaml"] = to_yaml(group)
    return files


def _path(ref: str, paper: Paper, taken: Mapping[str, str]) -> str:
    policy = paper.policy
    _check(policy.name, object_name(policy.name))
    home = _CLUSTER_WIDE
    if policy.kind is not Kind.CCNP:
        home = policy.namespace or "default"
        _check(home, namespace_name(home))
    plain = f"{home}/{policy.name}.yaml"
    return plain if plain not in taken else f"{home}/{policy.name}~{policy.kind}.yaml"


def _check(name: str, wrong: tuple[str, str] | None) -> None:
    if not name or wrong:
        raise UsageError(f"{name!r} is no name for a file of a policy: nothing was saved")
