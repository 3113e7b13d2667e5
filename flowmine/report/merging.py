"""A merge as the changes of files, and as the lines that tell of it."""

from collections.abc import Iterator, Sequence

from flowmine.advise.additions import Extension
from flowmine.advise.merge import Contradiction, Merge
from flowmine.policy.codec import to_dict
from flowmine.policy.merge import Folder
from flowmine.policy.mergewrite import Change
from flowmine.policy.model import EVERYTHING, Entry, Kind, Policy, Rule
from flowmine.report.policies import EvidenceIn, Witnesses, comment_on, documents

__all__ = ["changes", "told"]

_SHOWN = 5


def changes(merge: Merge, folder: Folder, witness: Witnesses, where: EvidenceIn) -> list[Change]:
    """Return what becomes of the folder's files: those that are extended, then new ones, both by name.

    Comments stand above added rules where evidence is wanted as comments; a policy that is there gets no annotations.
    Raise PolicyError where a file cannot be extended in place.
    """
    additions = {
        (each.written, each.rule, each.direction): tuple(
            (manifest, comment_on(reason, witness) if where is EvidenceIn.COMMENTS else "")
            for manifest, (_, reason) in zip(_manifests(each), each.entries, strict=True)
        )
        for each in merge.extensions
    }
    texts = ((proposal.policy, text) for proposal, text in documents(merge.proposals, witness, where))
    return [*folder.extend(additions), *folder.add(texts)]


def told(merge: Merge, made: Sequence[Change], folder: Folder) -> Iterator[str]:
    """Yield the lines that close a merge: what is added where, what was there already, and what contradicts it."""
    extended = sum(change.before is not None for change in made)
    rules = sum(len(each.entries) for each in merge.extensions)
    new = len(merge.proposals)
    yield (
        f"{folder.root}: {_counted(rules, 'rule')} added to {_counted(extended, 'file')}, "
        f"{_counted(new, 'new policy', 'new policies')}; {merge.covered:,} of "
        f"{_counted(merge.wished, 'recommended rule')} {'was' if merge.covered == 1 else 'were'} there already"
    )
    yield f"judged with the policies there: {_counted(merge.judged, 'question')}, all allowed but what deny rules decide"
    yield from (_contradicted(each) for each in merge.contradictions)
    yield from folder.problems
    yield from merge.notes
    for name in folder.unlisted(made):
        yield f"{name}: list the new files there, for kustomize applies no others"


def _manifests(extension: Extension) -> list[dict[str, object]]:
    """Return the entries of an extension as they stand in a manifest."""
    entries: tuple[Entry, ...] = tuple(entry for entry, _ in extension.entries)
    way = extension.direction
    rule = Rule(EVERYTHING, **{way.value: entries})  # type: ignore[arg-type]
    section: list[dict[str, object]] = to_dict(Policy(Kind.CNP, "extension", rules=(rule,)))["spec"][
        way.value
    ]
    return section


def _contradicted(found: Contradiction) -> str:
    return f"{found.where} denies what was delivered, and deny rules win: {_some(found.ends)}; nothing is written for it"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(texts[:_SHOWN])}{more}"


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
