"""Which recommended rules are missing beside those that are there, and which part of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flowmine.advise.additions import closing, one_way, section_of
from flowmine.advise.answers import Answers
from flowmine.advise.mergecase import Case
from flowmine.advise.trim import Part, joined, parts, with_names
from flowmine.advise.wishes import Wish
from flowmine.policy.model import Entry, Kind, Policy
from flowmine.synth.draft import Reason

__all__ = ["Lack", "lacking", "unfulfilled"]


@dataclass(frozen=True, slots=True, eq=False)
class Lack:
    """A wish that is not fulfilled, and the entries to add for it with their reason.

    There are none where only ports are missing that were not seen, beside names that a person chose.
    """

    wish: Wish
    entries: tuple[Entry, ...]
    reason: Reason


def lacking(case: Case, wishes: Sequence[Wish]) -> tuple[Lack, ...]:
    """Return what is missing of the wishes.

    They are judged with every direction closed that the recommendation closes, for only then do rules count that
    close nothing themselves.
    """
    closers = [
        Policy(
            Kind.CNP, f"closing-{place}", namespace=case.namespace(each), rules=(closing(case.rule(each)),)
        )
        for place, each in enumerate(case.wishes.subjects)
    ]
    answers = case.ask([*case.now, *closers])
    asked = unfulfilled(wishes, answers)
    missing = {
        wish: asked[wish] for wish in wishes if asked[wish] or not (wish.asks or _is_written(case, wish))
    }
    return tuple(_lacks(case, missing, answers))


def unfulfilled(wishes: Iterable[Wish], answers: Answers) -> dict[Wish, list[int]]:
    """Return the questions of each wish that no rule lets pass; those that a deny rule decides cannot be helped.

    Where rules by name rest on the answers of a resolver, the DNS proxy must see them (SEMANTICS 34).
    """
    wished = list(wishes)
    learning = {
        wish.subject for wish in wished if any(not answers.passes(ask, wish.direction) for ask in wish.bare)
    }

    def is_open(wish: Wish, ask: int) -> bool:
        if answers.is_denied_by_rule(ask, wish.direction):
            return False
        unseen = wish.dns and wish.subject in learning and not answers.is_looked_into(ask, wish.direction)
        return unseen or not answers.passes(ask, wish.direction)

    return {wish: [ask for ask in wish.asks if is_open(wish, ask)] for wish in wished}


def _is_written(case: Case, wish: Wish) -> bool:
    """Tell whether exactly this entry is there for exactly these pods."""
    rules = (case.folder.written[place].policy.rules[rule] for place, rule in case.homes_of(wish.subject))
    return any(wish.entry in rule.section(section_of(wish.direction)) for rule in rules)


def _lacks(case: Case, missing: Mapping[Wish, list[int]], closed: Answers) -> Iterable[Lack]:
    """Yield what to add for each wish: all parts of all of them are judged together, to see which let through what."""
    cut = [parts(wish.entry) for wish in missing]
    policies = [
        Policy(
            Kind.CNP,
            f"part-{place}",
            namespace=case.namespace(wish.subject),
            rules=(one_way(case.rule(wish.subject), wish.direction, (part.entry for part in cut[place])),),
        )
        for place, wish in enumerate(missing)
    ]
    answers = case.ask(policies)
    for (wish, asks), some, policy in zip(missing.items(), cut, policies, strict=True):
        needed = _needed_parts(wish, asks, some, answers, policy)
        entries = _with_chosen_names(case, wish, asks, needed, closed)
        whole = entries == (wish.entry,)
        yield Lack(wish, entries, wish.reason if whole else _part_of_reason(case, wish, asks))


def _needed_parts(
    wish: Wish, asks: Sequence[int], cut: Sequence[Part], answers: Answers, policy: Policy
) -> tuple[Part, ...]:
    """Return the parts that let the questions pass; all where none does, or nothing was asked."""
    paths = {f"{policy.path(0)}.{wish.direction}[{place}]": part for place, part in enumerate(cut)}
    kept: dict[Part, None] = {}
    for ask in asks:
        matching = answers.matching(ask, wish.direction)
        part = next((paths[path] for ref, path in matching if ref == policy.ref), None)
        if part is None:
            return tuple(cut)
        kept[part] = None
    return tuple(kept) or tuple(cut)


def _with_chosen_names(
    case: Case, wish: Wish, asks: Sequence[int], needed: Sequence[Part], closed: Answers
) -> tuple[Entry, ...]:
    """Return the entry of the parts; where a person's rules let only some names be asked for, with the missing names alone."""
    chosen = any(
        closed.is_looked_into(ask, wish.direction) and not closed.passes(ask, wish.direction)
        for ask in wish.probes
    )
    if not chosen:
        return joined(wish.entry, needed)
    names = {name for ask in asks if (name := case.wishes.questions[ask].name)}
    if names:
        entry = with_names(wish.entry, names)
        again = {(part.peer, part.port): part for part in parts(entry)}
        return joined(entry, [again[part.peer, part.port] for part in needed])
    seen = {case.wishes.rows.get(row) for row in wish.reason.rows}
    return joined(wish.entry, needed) if seen.intersection(asks) else ()


def _part_of_reason(case: Case, wish: Wish, asks: Sequence[int]) -> Reason:
    """Return the reason of a part of a wish: what was seen of that part alone, where it was seen itself."""
    missing = set(asks)
    rows = tuple(row for row in wish.reason.rows if case.wishes.rows.get(row) in missing)
    return replace(wish.reason, rows=rows or wish.reason.rows)
