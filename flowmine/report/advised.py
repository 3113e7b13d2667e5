"""All the advice that a page holds, from what was read: what is recommended, dropped, in force and linted."""

from collections.abc import Mapping, Sequence

from flowmine.advise.drops import drops
from flowmine.advise.inforce import InForce
from flowmine.advise.lint import capture_of, context_of, findings_of
from flowmine.advise.recommend import Recommendation, recommend
from flowmine.edges import Edges
from flowmine.errors import FlowmineError
from flowmine.ledger import Ledger
from flowmine.policy.files import Document
from flowmine.report.compose import Advice
from flowmine.synth.options import Options

__all__ = ["advised", "recommended"]


def advised(
    edges: Edges,
    ledger: Ledger,
    options: Options,
    policies: InForce | None = None,
    written: tuple[Sequence[Document], Mapping[str, str]] = ((), {}),
) -> Advice:
    """Return the advice on a capture; ``written`` are the documents of the policies in force and the texts of their files."""
    documents, texts = written
    found, why = recommended(edges, ledger, options)
    findings = None
    if policies is not None:
        seen = capture_of(edges.endpoints, edges.edges, edges.names)
        findings = findings_of(context_of(documents, seen))
    return Advice(
        drops(edges, policies, options, dict(texts) if policies else {}),
        found,
        policies,
        findings,
        (*why, *(policies.ineffective if policies else ())),
    )


def recommended(
    edges: Edges, ledger: Ledger, options: Options
) -> tuple[Recommendation | None, tuple[str, ...]]:
    """Return what is recommended; where nothing can be, why not."""
    if ledger.texts or "labels" in ledger.masked:
        return None, (f"no policy can be recommended: {ledger.mask_advice()}",)
    try:
        return recommend(edges, options), ()
    except FlowmineError as error:
        return None, (f"no policy can be recommended: {error}",)
