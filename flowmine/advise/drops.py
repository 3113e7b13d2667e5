"""The report of what was dropped: grouped, explained by the policies in force, and with the smallest change for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowmine.advise.admit import Admission, Advisor
from flowmine.advise.admitedits import Edit, Texts, edits_of
from flowmine.advise.admitreach import Asked
from flowmine.advise.causes import REPLY, Cause, advice_on
from flowmine.advise.dropfacts import Scan, drop_facts, scans_of
from flowmine.advise.dropgroups import DropGroup, group_facts
from flowmine.advise.inforce import InForce, own_cluster
from flowmine.advise.recorded import Recorded, recorded
from flowmine.advise.risks import risks_of
from flowmine.advise.rulings import rulings
from flowmine.advise.standpoint import crowd
from flowmine.edges import Edges
from flowmine.engine.config import Config, Enforcement
from flowmine.engine.l7 import Request
from flowmine.engine.policyset import PolicySet
from flowmine.policy.model import Direction
from flowmine.synth.options import Options

__all__ = ["NO_DNS_RULE", "Drop", "DropReport", "drops", "summary"]


NO_DNS_RULE = "toFQDNs learns addresses only from lookups that pass a rule with `rules.dns`, and no policy in force has one here"


@dataclass(frozen=True, slots=True)
class Drop:
    """One group of drops with what can be done: the change (None where none helps or is needed), edits, risks, notes."""

    group: DropGroup
    admission: Admission | None = None
    edits: tuple[Edit, ...] = ()
    also: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DropReport:
    """All drops of a capture: groups, those that stand first; scans, one each; whether policies were asked.

    ``remarks`` say what the answer does not hold for.
    """

    drops: tuple[Drop, ...]
    scans: tuple[Scan, ...]
    policies: InForce | None
    remarks: tuple[str, ...] = ()

    @property
    def standing(self) -> tuple[Drop, ...]:
        """The drops that somebody must decide on: policies refuse them still."""
        return tuple(each for each in self.drops if each.group.cause.stands)


def drops(
    edges: Edges, policies: InForce | None = None, options: Options | None = None, texts: Texts | None = None
) -> DropReport:
    """Report every drop and every would-be drop of audit mode.

    ``policies`` are those in force, without which only the flows are told of; ``texts`` the files they were read from, for diffs.
    """
    chosen = options or Options()
    known = recorded(edges, chosen)
    scans = scans_of(known, chosen)
    scanned = frozenset(row for scan in scans for row in scan.rows)
    facts = drop_facts(known, scanned)
    judged = None if policies is None else rulings(known, policies, sorted({fact.row for fact in facts}))
    asked = policies or _closed(own_cluster(edges)[0])
    advisor = Advisor(known, asked, crowd(known, asked, scanned), chosen)
    scanners = {scan.title for scan in scans}
    found = [
        _drop(known, group, advisor, asked, texts or {}, scanners, policies is not None)
        for group in group_facts(known, facts, judged)
    ]
    return DropReport(tuple(found), tuple(scans), policies, tuple(_remarks(policies)))


def _closed(cluster: str) -> InForce:
    """Return what the flows alone say of policies: that they closed the side that dropped, and nothing else."""
    config = Config(enforcement=Enforcement.ALWAYS, cluster_name=cluster or "default")
    return InForce(PolicySet((), config=config))


def _remarks(policies: InForce | None) -> Iterable[str]:
    if policies is None:
        yield "without --policies the flows alone are told of: a side behind the one that dropped may deny as well"
        return
    named = sorted(
        {
            f"{entry.origin.policy} ({term.name})"
            for entry in policies.policies.index.entries
            for term in entry.ports
            if term.name and term.name not in {port[0] for port in policies.named_ports}
        }
    )
    if named:
        yield f"flows do not tell what named ports stand for, so these rules match nothing here: {', '.join(named)}"


def _drop(
    known: Recorded,
    group: DropGroup,
    advisor: Advisor,
    policies: InForce,
    texts: Texts,
    scanners: Iterable[str],
    judged: bool,
) -> Drop:
    admission = None
    if group.cause.is_policy and (judged or (group.sides and group.cause is not Cause.DENY_RULE)):
        admission = advisor.admission(_asked(known, group, judged))
    edits = edits_of(admission, policies, texts) if admission else ()
    also = _told(known, admission) if admission else ()
    risks = risks_of(group, scanners, also=len(also)) if group.cause.stands else ()
    notes = [*_notes(group, admission, judged)]
    if any("toFQDNs" in edit.rule for edit in edits) and not advisor.learns_names(
        [known.links[row] for row in group.rows]
    ):
        notes.append(NO_DNS_RULE)
    return Drop(group, admission, edits, also, risks, tuple(notes))


def _asked(known: Recorded, group: DropGroup, judged: bool) -> Asked:
    rows = [known.request(row) for row in group.requests]
    sides = frozenset(Direction) if judged else frozenset(group.sides)
    return Asked(
        tuple(known.links[row] for row in group.rows),
        tuple(
            dict.fromkeys(
                Request(method, path or "/", host) for method, host, path in rows if method != "DNS"
            )
        ),
        tuple(dict.fromkeys(path for method, _, path in rows if method == "DNS")),
        sides,
    )


def _told(known: Recorded, admission: Admission) -> tuple[str, ...]:
    """Return what else a change admits, in words, each once."""
    return tuple(
        dict.fromkeys(
            f"{known.title(each.source)} to {known.title(each.target)} on {each.port}/{each.protocol}"
            for each in admission.also
        )
    )


def _notes(group: DropGroup, admission: Admission | None, judged: bool) -> Iterable[str]:
    if group.cause is Cause.OTHER:
        yield from (f"{reason}: {advice_on(reason)}" for reason in group.reasons)
    elif group.cause is Cause.REPLY:
        yield str(REPLY)
    elif group.cause is Cause.AUTHENTICATION:
        yield str(advice_on("AUTH_REQUIRED"))
    elif group.cause is Cause.GONE:
        yield "the policies in force allow it now"
    elif group.cause is Cause.UNRESOLVED:
        yield f"Cilium keeps the endpoint's old policy: {group.error}"
    elif group.cause is Cause.UNKNOWN:
        yield _unknown(group)
    elif admission is None:
        yield _no_change(group, judged)
    if group.audited:
        yield "audit mode let it through: it would have been dropped"
    if group.since and group.last and group.since > group.last and group.cause is not Cause.REQUEST:
        yield f"delivered since, last at {group.since:%Y-%m-%d %H:%M} UTC"
    if admission is not None and not admission.whole:
        yield "the change reaches too many to count all: more may be admitted than is told"
    if admission is not None and admission.opens > len(admission.also):
        yield f"the changed side opens to {admission.opens:,} connections more; the other side, or nothing else, holds them back"


def _unknown(group: DropGroup) -> str:
    if not (group.source.known and group.target.known):
        return "an end came without labels or address: record with hubble observe -o jsonpb, without a field mask"
    if "L7" in group.reasons:
        return "the proxy refused a request that the capture does not hold"
    return "the side that dropped it is of another cluster: judge it by the policies there"


def _no_change(group: DropGroup, judged: bool) -> str:
    if not judged and group.cause is Cause.DENY_RULE:
        return "a deny rule must be narrowed: --policies says which, and how"
    if not judged and not group.sides:
        return "the flows do not say which side dropped it: --policies does"
    if not (group.source.known and group.target.known):
        return "an end came without labels or address, so no rule can name it"
    return "no single addition to the policies, nor taking a deny rule away, admits exactly this; look at the policies named"


def summary(report: DropReport) -> Sequence[str]:
    """Return the lines that close a run: how many groups stand, are gone, are not policy's doing, and the scans."""
    standing, rest = len(report.standing), [each for each in report.drops if not each.group.cause.stands]
    gone = sum(each.group.cause is Cause.GONE for each in rest)
    parts = [f"{standing:,} group{'s' * (standing != 1)} of drops that policies refuse"]
    if gone:
        parts.append(f"{gone:,} whose cause is gone")
    if len(rest) > gone:
        parts.append(f"{len(rest) - gone:,} not policy's doing")
    if report.scans:
        total = sum(scan.count for scan in report.scans)
        parts.append(f"{total:,} drops of {len(report.scans):,} scan{'s' * (len(report.scans) != 1)}")
    return [", ".join(parts), *report.remarks]
