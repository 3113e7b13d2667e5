"""Where additions go: into the rule that somebody wrote for the same pods, or into a policy of their own."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from flowmine.advise.additions import Extension, Lines, remainder, section_of
from flowmine.advise.lacking import Lack
from flowmine.advise.mergecase import Case, Home
from flowmine.advise.wishes import Subject
from flowmine.policy.model import Direction
from flowmine.synth.assemble import CLOSED, Proposal
from flowmine.synth.draft import Reason

__all__ = ["additions", "placed"]

Additions = Mapping[tuple[Subject, Direction], Lines]


def additions(case: Case, lacks: Iterable[Lack], subjects: Collection[Subject]) -> Additions:
    """Return what is to be added for each of the subjects and directions; an empty entry where nothing else closes it."""
    found: dict[tuple[Subject, Direction], Lines] = defaultdict(tuple)
    for lack in lacks:
        if lack.entries:
            key = (lack.wish.subject, lack.wish.direction)
            found[key] += tuple((entry, lack.reason) for entry in lack.entries)
    closed = {(subject.pods, way) for subject, way in found}
    for subject in subjects:
        for way in Direction:
            if case.must_close(subject, way) and (subject.pods, way) not in closed:
                closed.add((subject.pods, way))
                found[subject, way] = ((CLOSED, _reason_to_close(case, subject, way)),)
    return found


def placed(case: Case, added: Additions) -> tuple[tuple[Extension, ...], tuple[Proposal, ...]]:
    """Return the additions as extensions of rules that are there, and the rest as policies of their own."""
    extensions: dict[tuple[int, int, Direction], Lines] = defaultdict(tuple)
    alone: dict[int, dict[tuple[int, Direction], Lines]] = defaultdict(dict)
    for (subject, way), lines in added.items():
        home = _home(case, subject, way)
        if home is not None:
            extensions[(*home, way)] += lines
        else:
            alone[subject.proposal][subject.rule, way] = lines
    taken = {each.ref for each in case.folder.policies} | set(case.folder.refused)
    proposals = []
    for place, rules in sorted(alone.items()):
        proposals.append(remainder(case.proposals[place], rules, taken))
        taken.add(proposals[-1].policy.ref)
    return tuple(Extension(*key, lines) for key, lines in sorted(extensions.items())), tuple(proposals)


def _reason_to_close(case: Case, subject: Subject, direction: Direction) -> Reason:
    if case.rule(subject).section(section_of(direction)) == (CLOSED,):
        return case.proposals[subject.proposal].reasons[subject.rule, direction, 0]
    return Reason(about="closes the direction: other policies let through what was seen", closes=True)


def _home(case: Case, subject: Subject, direction: Direction) -> Home | None:
    """Return the rule to extend: one with that direction first, then one of the proposal's own name."""
    name = case.proposals[subject.proposal].policy.name

    def rank(home: Home) -> tuple[bool, bool]:
        policy = case.folder.written[home[0]].policy
        return (not policy.rules[home[1]].section(section_of(direction)), policy.name != name)

    for place, number in sorted(case.homes_of(subject), key=rank):
        written = case.folder.written[place]
        asked = written.policy.rules[number].enable_default_deny
        opens = asked is not None and getattr(asked, direction.value) is False
        if not opens and case.folder.takes(written, number, direction):
            return place, number
    return None
