"""Merge a recommendation into policies that people wrote: only what is missing of it, as the engine judges.

What people wrote is never changed and never widened: rules are added beside theirs, and policies are one union. A deny
rule of theirs wins; where it contradicts what was delivered, that is told.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from flowmine.advise.additions import Extension, extended
from flowmine.advise.lacking import lacking, unfulfilled
from flowmine.advise.mergecase import Case, only_shows, open_case
from flowmine.advise.placing import additions, placed
from flowmine.advise.recommend import ProofError, Recommendation
from flowmine.advise.wishes import Wish
from flowmine.edges import Edges
from flowmine.policy.merge import Folder
from flowmine.policy.model import Direction
from flowmine.synth.assemble import Proposal
from flowmine.synth.framing import Scene
from flowmine.synth.traffic import links

__all__ = ["Contradiction", "Merge", "merge"]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A deny rule (its place) against connections that were delivered: their ends, and rows of EDGES."""

    where: str
    ends: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to be added: to rules that are there, and as policies of their own.

    ``covered`` of the ``wished`` entries were there already; ``judged`` questions pass with everything added. ``notes`` are
    sentences for people.
    """

    extensions: tuple[Extension, ...]
    proposals: tuple[Proposal, ...]
    contradictions: tuple[Contradiction, ...]
    wished: int
    covered: int
    judged: int
    notes: tuple[str, ...]


def merge(found: Recommendation, edges: Edges, folder: Folder, cluster: str) -> Merge:
    """Return what is missing of a recommendation, for one cluster, in the folder that holds its policies.

    Raise ProofError where the policies with everything added would deny what they let through before, or what the
    recommendation is meant to let through.
    """
    case = open_case(found, edges, folder, cluster)
    broken = {subject for subject in case.wishes.subjects if case.error(subject)}
    wishes = [wish for wish in case.wishes.items if wish.subject not in broken]
    lacks = lacking(case, wishes)
    subjects = [subject for subject in case.wishes.subjects if subject not in broken]
    extensions, proposals = placed(case, additions(case, lacks, subjects))
    given_up = {lack.wish for lack in lacks if not lack.entries}
    kept = [wish for wish in wishes if wish not in given_up]
    gaps = _gaps(case, kept, extensions, proposals)
    if gaps:
        raise ProofError(_told(case, gaps, edges, found.synthesis.scene))
    return Merge(
        extensions,
        proposals,
        tuple(_contradictions(case, edges, found.synthesis.scene)),
        wished=len(case.wishes.items),
        covered=len(wishes) - sum(bool(lack.entries) for lack in lacks),
        judged=len({(ask, wish.direction) for wish in kept for ask in wish.asks}),
        notes=tuple(_notes(case)),
    )


def _gaps(
    case: Case, wishes: Sequence[Wish], extensions: Iterable[Extension], proposals: Iterable[Proposal]
) -> set[tuple[int, Direction]]:
    """Judge everything again with what is added; return what does not pass and should, or did before."""
    policies = list(case.folder.policies)
    for each in extensions:
        policies[each.written] = extended(policies[each.written], each)
    kept = [policy for policy in policies if not only_shows(policy)]
    after = case.ask([*kept, *(each.policy for each in proposals)])
    gaps = {(ask, wish.direction) for wish, asks in unfulfilled(wishes, after).items() for ask in asks}
    for ask in case.wishes.rows.values():
        for way in Direction:
            if case.before.passes(ask, way) and not after.passes(ask, way):
                gaps.add((ask, way))
    return gaps


def _told(case: Case, gaps: set[tuple[int, Direction]], edges: Edges, scene: Scene) -> str:
    by_question = {ask: row for row, ask in case.wishes.rows.items()}
    rows = sorted({by_question[ask] for ask, _ in gaps if ask in by_question})
    told = "; ".join(_ends(edges, scene, rows[:_NAMED])) or "requests or names over them"
    return (
        f"nothing written: with the policies of {case.folder.root} the merged ones would deny traffic that they are "
        f"meant to allow ({len(gaps)} questions): {told}; write them beside (-o DIR) and compare by hand"
    )


def _contradictions(case: Case, edges: Edges, scene: Scene) -> Iterator[Contradiction]:
    """Yield the deny rules against edges that were delivered, with those edges."""
    denied: dict[str, set[int]] = defaultdict(set)
    for row, ask in case.wishes.rows.items():
        for way in Direction:
            if case.before.is_denied_by_rule(ask, way):
                for denier in case.before.deniers(ask, way):
                    denied[denier].add(row)
    places = {each.policy.ref: each.document for each in case.folder.written}
    for denier, found in sorted(denied.items()):
        ref, _, path = denier.rpartition(":")
        rows = tuple(sorted(found))
        yield Contradiction(places[ref].at(path), tuple(_ends(edges, scene, rows)), rows)


def _notes(case: Case) -> Iterator[str]:
    for subject in case.wishes.subjects:
        if error := case.error(subject):
            title = f"{case.namespace(subject)}/{case.proposals[subject.proposal].policy.name}"
            yield f"{title}: left alone, for Cilium cannot resolve the policies that are there: {error}"
    for each in case.folder.written:
        if only_shows(each.policy):
            yield f"{each.document.where}: it only shows traffic and counts for nothing here; delete it"


def _ends(edges: Edges, scene: Scene, rows: Sequence[int]) -> list[str]:
    """Return how people call some edges, each once."""
    table = edges.edges.take(pa.array(rows, pa.int64()))
    told = (
        f"{scene.title(link.source)} to {scene.title(link.target)} on {link.port}/{link.protocol}"
        for link in links(table, scene.universe, scene.workloads)
    )
    return list(dict.fromkeys(told))
