"""Keep a folder of recommended policies up to date: files whose policy changed are rewritten, each in one step."""

import os
from dataclasses import dataclass
from pathlib import Path

from flowmine.advise.recommend import recommend
from flowmine.edges import Edges
from flowmine.errors import FlowmineError, InputError
from flowmine.policy.codec import from_yaml
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
    ) -> None:
        """Write to ``target``, which need not exist; the rest is as for `flowmine recommend`."""
        self._target, self._options, self._scope, self._evidence = target, options, scope, evidence
        self._written: dict[str, str] = {}

    def update(self, edges: Edges) -> tuple[Rewritten, ...]:
        """Recommend, and write what is another policy than what the file holds; evidence alone is no change.

        A policy that this run wrote and does not recommend any more is removed, unless somebody has edited it.
        Raise ProofError where the recommendation fails, InputError where a file cannot be written.
        """
        found = recommend(edges, self._options, self._scope)
        files = folder(found.synthesis.proposals, Witness(edges).of, self._evidence)
        done = []
        for path, text in sorted(files.items()):
            if not _means_the_same(self._target / path, text):
                _write(self._target / path, text)
                self._written[path] = text
                done.append(Rewritten(self._target / path, "written"))
        for path in sorted(set(self._written) - set(files)):
            text = self._written.pop(path)
            if _means_the_same(self._target / path, text):
                (self._target / path).unlink()
                done.append(Rewritten(self._target / path, "withdrawn"))
        return tuple(done)


def _means_the_same(path: Path, text: str) -> bool:
    try:
        return from_yaml(path.read_bytes()) == from_yaml(text)
    except (OSError, FlowmineError):
        return False


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, "utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
