"""Take connections out of a draft: what admits them goes, and what else that admitted is told by the verdicts."""

from collections.abc import Sequence

from flowmine.advise.rulings import Ruling
from flowmine.advise.standpoint import Standpoint, crowd
from flowmine.advise.withdraw import withdrawal
from flowmine.engine.verdict import Outcome
from flowmine.web.adding import Changed, called
from flowmine.web.draft import Paper
from flowmine.web.judged import Court, Judged
from flowmine.web.scene import Scene

__all__ = ["remove"]


def remove(scene: Scene, court: Court, judged: Judged, places: Sequence[int]) -> Changed:
    """Take connections (places in the view) out, one after another."""
    done: list[str] = []
    problems: list[str] = []
    for place in places:
        judged, some, wrong = _removed(scene, court, judged, place)
        done += some
        problems += wrong
    return Changed(judged, tuple(dict.fromkeys(done)), tuple(dict.fromkeys(problems)))


def _removed(scene: Scene, court: Court, judged: Judged, place: int) -> tuple[Judged, list[str], list[str]]:
    rows, name = scene.rows[place], scene.name(place)
    policies = judged.draft.in_force
    here = Standpoint(crowd(scene.known, policies), policies.policies)
    found = withdrawal(scene.known, policies, here, rows, judged.rulings)
    if found is None:
        return judged, [], [f"{name}: {_why_not([judged.rulings[row] for row in rows])}"]
    papers: dict[str, Paper] = {
        ref: judged.draft.papers[ref].changed(manifest, "") for ref, manifest in found.manifests.items()
    }
    done = [f"{called(step.ref)}: {step.place} takes back its rule for {name}" for step in found.steps]
    draft = judged.draft.with_papers(papers, f"Remove {name}")
    judged = court.judge(draft, judged)
    if all(judged.rulings[row].allowed for row in rows):
        return judged, done, [f"{name}: it passes all the same: Cilium admits it, or nothing closes its ends"]
    return judged, done, []


def _why_not(found: Sequence[Ruling]) -> str:
    """Return why nothing can be taken out for it."""
    outcomes = {side.outcome for ruling in found for side in ruling.sides.values()}
    if not all(ruling.allowed for ruling in found):
        return "the draft does not admit it"
    if Outcome.ALLOWED in outcomes:
        return "Cilium itself admits it, or a rule from which nothing can be taken away"
    return "no rule of the draft admits it: neither end is closed, so there is nothing to take away"
