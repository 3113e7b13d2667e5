"""What a person must know of a recommendation beside its policies: one line a fact."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flowmine.advise.recommend import Recommendation
from flowmine.policy.model import Direction
from flowmine.synth.standing import Standing

__all__ = ["Step", "rollout", "told"]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One namespace of a rollout: which part of its workloads' sides is closed (0 to 1), and how often rules guess."""

    cluster: str
    namespace: str
    ready: float
    guesses: int


def told(found: Recommendation, *, rollout: bool = False) -> Iterator[str]:
    """Yield the lines that close a run of `recommend`: workloads, half-seen ones, noise, what was left out, the proof.

    With ``rollout`` also in which order namespaces are best taken.
    """
    made = found.synthesis
    yield _whole(found)
    yield from _some(_half_seen(made.standings))
    yield from _some(f"{each.kind}: {each.evidence}" for each in made.noise)
    out = made.left_out
    if out.dropped:
        yield f"{_counted(len(out.dropped), 'edge')} dropped and left out (--include-dropped SELECTOR admits some)"
    if out.audited:
        yield f"{_counted(len(out.audited), 'edge')} audited and left out (--include-audited admits them)"
    yield from _some(out.remarks)
    yield from _some(made.remarks)
    yield from _some(f"LEFT OUT of {each.policy}: {each.about}: {each.why}" for each in made.unsaid)
    unnamed = sum(
        "by address" in remark
        for each in made.proposals
        for reason in each.reasons.values()
        for remark in reason.remarks
    )
    if unnamed:
        yield (
            f"{_counted(unnamed, 'rule')} by address where a name was missing: `flowmine visibility` writes policies "
            "that show names"
        )
    if rollout:
        yield from _rollout(found)
    if found.proof.edges:
        judged = _counted(found.proof.judged, "side")
        if made.frame.options.l7:
            judged = f"{found.proof.judged:,} sides and requests"
        yield f"proved: {judged} of {_counted(found.proof.edges, 'edge')} judged by the engine, all allowed"
    else:
        yield "nothing to prove: no edge became a rule"


def rollout(found: Recommendation) -> list[Step]:
    """Return the namespaces in the order of their readiness: wholly seen first, then by how little their rules guess."""
    homes: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for each in found.synthesis.standings:
        if not each.refused:
            homes[each.workload.cluster, each.workload.namespace].append(each)
    guesses: Counter[tuple[str, str]] = Counter()
    for proposal in found.proposals:
        home = proposal.cluster, proposal.policy.namespace or ""
        guesses[home] += sum(len(reason.notes) + len(reason.remarks) for reason in proposal.reasons.values())
    sides = {home: sum(len(each.closed) for each in members) for home, members in homes.items()}
    ready = {home: sides[home] / (len(Direction) * len(members)) for home, members in homes.items()}
    ordered = sorted(homes, key=lambda one: (-ready[one], guesses[one], one))
    return [Step(*home, ready=ready[home], guesses=guesses[home]) for home in ordered]


def _rollout(found: Recommendation) -> Iterator[str]:
    for place, step in enumerate(rollout(found), 1):
        yield (
            f"rollout {place}: {step.namespace}: {step.ready:.0%} of its sides closed, "
            f"{_counted(step.guesses, 'generalisation')} or remarks"
        )


def _whole(found: Recommendation) -> str:
    made = found.synthesis
    refused = Counter(each.refused for each in made.standings if each.refused)
    left = "".join(f"; {count:,} left out: {why}" for why, count in sorted(refused.items()))
    return f"{_counted(len(made.standings), 'workload')}, {_policies(len(made.proposals))}{left}"


def _policies(count: int) -> str:
    return f"{count:,} polic{'y' if count == 1 else 'ies'}"


def _half_seen(standings: Sequence[Standing]) -> Iterator[str]:
    """Yield the workloads that are not, or not wholly, closed for want of sight; those of clusters never seen together."""
    seen = {each.workload.cluster for each in standings if each.seen}
    elsewhere = Counter(each.workload.cluster for each in standings if each.workload.cluster not in seen)
    for each in standings:
        if each.refused or len(each.seen) == len(Direction) or (seen and each.workload.cluster in elsewhere):
            continue
        what = f"only {next(iter(each.seen))} is closed" if each.seen else "no policy"
        yield f"half seen, {what}: {each.workload.title}: {each.reason}"
    for cluster, count in sorted(elsewhere.items() if seen else ()):
        yield f"{_counted(count, 'workload')} of cluster {cluster}, whose own nodes are not in the capture: no policy"


def _some(lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    yield from listed[:_SHOWN]
    if len(listed) > _SHOWN:
        yield f"and {len(listed) - _SHOWN:,} more like this"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
