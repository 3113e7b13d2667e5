"""Keep a folder of recommended policies up to date: files whose policy changed are rewritten, each in one step."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from flowmine.advise.recommend import recommend
from flowmine.edges import Edges
from flowmine.errors import FlowmineError, InputError
from flowmine.outputs import refuse_ways_out, write_whole
from flowmine.policy.codec import from_yaml
from flowmine.policy.versions import oldest_version
from flowmine.report.policies import EvidenceIn, folder
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options
from flowmine.synth.scope import Scope

__all__ = ["Outlet", "Rewritten"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of a file: ``written`` (new or changed) or ``withdrawn`` (its policy is not recommended any more)."""

    path: Path
    what: str


class Outlet:
    """A folder into which recommendations go."""

    def __init__(
        self,
        target: Path,
        options: Options,
        scope: Scope,
        evidence: EvidenceIn = EvidenceIn.COMMENTS,
        cilium: tuple[int, int] | None = None,
    ) -> None:
        """Write to ``target``, which need not exist; the rest is as for `flowmine recommend`.

        ``cilium`` is the version to write for; None is the oldest that was seen.
        """
        self._target, self._options, self._scope, self._evidence = target, options, scope, evidence
        self._cilium = cilium
        self._written: dict[str, str] = {}

    def version_for(self, versions: Iterable[str]) -> tuple[int, int]:
        """Return the version to write for where these were seen."""
        return self._cilium or oldest_version(versions) or self._options.cilium

    def update(self, edges: Edges, versions: Iterable[str]) -> tuple[Rewritten, ...]:
        """Recommend, and write what is another policy than what the file holds; evidence alone is no change.

        ``versions`` are those of Cilium that were seen. A policy that this run wrote and does not recommend any more is removed, unless somebody has edited it.
        Raise ProofError where the recommendation fails, InputError where a file cannot be written or removed.
        """
        options = replace(self._options, cilium=self.version_for(versions))
        found = recommend(edges, options, self._scope)
        files = folder(found.synthesis.proposals, Witness(edges).of, self._evidence)
        done = []
        for path, text in sorted(files.items()):
            if not _means_the_same(self._target / path, text):
                _write(self._target, self._target / path, text)
                self._written[path] = text
                done.append(Rewritten(self._target / path, "written"))
        for path in sorted(set(self._written) - set(files)):
            text = self._written.pop(path)
            if _means_the_same(self._target / path, text):
                _unlink(self._target / path)
                done.append(Rewritten(self._target / path, "withdrawn"))
        return tuple(done)


def _means_the_same(path: Path, text: str) -> bool:
    try:
        return from_yaml(path.read_bytes()) == from_yaml(text)
    except (OSError, FlowmineError):
        return False


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be withdrawn ({error.strerror or error})") from error


def _write(root: Path, path: Path, text: str) -> None:
    try:
        refuse_ways_out(root, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
