"""Recommend policies for what a capture shows, and prove them before anybody applies them."""

from collections import defaultdict
from dataclasses import dataclass, replace

import pyarrow as pa

from flowmine.advise.proof import Gap, Proof, prove
from flowmine.edges import Edges
from flowmine.errors import FlowmineError, UsageError
from flowmine.policy.acceptance import are_accepted
from flowmine.policy.model import Policy
from flowmine.policy.problems import Severity
from flowmine.policy.validate import validate
from flowmine.synth.assemble import Proposal
from flowmine.synth.framing import Scene
from flowmine.synth.options import Options
from flowmine.synth.scope import Scope
from flowmine.synth.stage import staged
from flowmine.synth.synthesise import Synthesis, synthesise
from flowmine.synth.traffic import links

__all__ = ["ProofError", "Recommendation", "proved", "recommend"]

_NAMED = 5


class ProofError(FlowmineError):
    """The policies would deny what they mean to allow: nothing is recommended."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The policies recommended, how they came about, and what the engine said of them.

    ``needless`` are entries (`policy reference:path`) that no edge needs, those marked required apart; ``proposals`` are
    the synthesis's, in the stage asked for.
    """

    synthesis: Synthesis
    proof: Proof
    needless: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies alone, in order."""
        return tuple(each.policy for each in self.proposals)


def recommend(edges: Edges, options: Options | None = None, scope: Scope | None = None) -> Recommendation:
    """Return the least policies that admit what the capture shows delivered, judged edge by edge.

    Raises ProofError, naming the edges, where they would deny something that they are meant to allow, or where Cilium
    would refuse a policy.
    """
    options, scope = options or Options(), scope or Scope()
    found = proved(edges, synthesise(edges, options, scope))
    return replace(found, proposals=staged(found.proposals, scope.stage, options.cilium))


def proved(edges: Edges, made: Synthesis) -> Recommendation:
    """Return a synthesis with its proof: each edge that it admits judged by the engine, each entry tried for its need.

    Raises ProofError as `recommend` does.
    """
    _check(made)
    policies: dict[str, list[Policy]] = defaultdict(list)
    for each in made.proposals:
        policies[each.cluster].append(each.policy)
    proof = prove(edges, policies, made.admitted, made.names_of)
    if proof.gaps:
        raise ProofError(_told(edges, made.scene, proof.gaps))
    required = {
        f"{each.policy.ref}:{each.policy.path(rule)}.{direction}[{entry}]"
        for each in made.proposals
        for (rule, direction, entry), reason in each.reasons.items()
        if reason.required or reason.closes
    }
    needless = tuple(each for each in proof.needless if each not in required)
    return Recommendation(made, proof, needless, made.proposals)


def _check(made: Synthesis) -> None:
    taken = are_accepted(each.policy for each in made.proposals)
    for each in () if taken else made.proposals:
        problems = [problem for problem in validate(each.policy) if problem.severity is Severity.ERROR]
        if problems:
            raise ProofError(f"nothing written: Cilium would refuse {each.policy.ref}: {problems[0]}")
    for gateway in made.gateways:
        problems = [problem for problem in validate(gateway.manifest) if problem.severity is Severity.ERROR]
        if problems:
            raise UsageError(f"no egress gateway {gateway.name}: Cilium would refuse it: {problems[0]}")


def _told(edges: Edges, scene: Scene, gaps: tuple[Gap, ...]) -> str:
    rows = edges.edges.take(pa.array([gap.row for gap in gaps[:_NAMED]], pa.int64()))
    told = [
        f"{scene.title(link.source)} to {scene.title(link.target)} on {link.port}/{link.protocol} ({gap.direction})"
        for gap, link in zip(gaps, links(rows, scene.universe, scene.workloads), strict=False)
    ]
    more = f" and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
    return (
        f"nothing written: the policies would deny traffic that they are meant to allow: {'; '.join(told)}{more}; "
        "please report this with the capture, and leave these workloads out (--exclude) meanwhile"
    )
