"""What the page works on: the scene that is shown now and those shown just before, and the draft with its history."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from flowmine.edges import Edges
from flowmine.errors import FlowmineError, UsageError
from flowmine.ledger import Ledger
from flowmine.report.html import Live, live_page
from flowmine.report.redact import shown
from flowmine.synth.evidence import Witness
from flowmine.web.adding import Changed, add
from flowmine.web.draft import Draft, in_force_draft, recommended_draft
from flowmine.web.drafted import ConnectionView, DraftView, Last, connection_view, draft_view, paper_views
from flowmine.web.following import State
from flowmine.web.judged import Court, Judged
from flowmine.web.news import News
from flowmine.web.saving import Saved, Saver
from flowmine.web.scene import Grounds, Scene, scene_of
from flowmine.web.taking import remove

__all__ = ["IN_FORCE", "NOTHING", "RECOMMENDED", "Desk", "Outdated"]

IN_FORCE, NOTHING, RECOMMENDED = "the policies in force", "nothing", "the recommendation"
"""What a draft may start from."""

_KEPT = 4
"""Versions of the scene by which the page may still name connections."""

_MOST_STEPS = 500
"""Drafts that undo goes back to."""


class Outdated(FlowmineError):
    """What is asked about is not shown any more: the page must look again."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A draft where it was judged last: the scene, and the court that sat over it."""

    scene: Scene
    court: Court
    judged: Judged


class Desk:
    """One person's work, asked from any thread."""

    def __init__(
        self, title: str, advise: Callable[[Edges, Ledger], Grounds], saver: Saver | None = None
    ) -> None:
        """Begin with nothing captured; ``advise`` returns what drafts stand on, ``saver`` writes where saving is allowed."""
        self.news = News()
        self._title, self._advise, self._saver = title, advise, saver
        self._lock = threading.RLock()
        self._scenes: OrderedDict[int, Scene] = OrderedDict()
        self._follows = False
        self._pages: dict[int, bytes] = {}
        self._history: list[Draft] = []
        self._at = 0
        self._revision = 0
        self._last = Last()
        self._asked: _Asked | None = None

    def show(self, edges: Edges, ledger: Ledger) -> None:
        """Show a capture as it is now; the draft is judged by it anew."""
        grounds = self._advise(edges, ledger)
        version = next(reversed(self._scenes), 0) + 1
        scene = scene_of(edges, ledger, grounds, self._title, version)
        with self._lock:
            self._scenes[version] = scene
            while len(self._scenes) > _KEPT:
                self._scenes.popitem(last=False)
            self._pages.clear()
            self._reground(scene)
            self._revision += 1
            self._last = replace(self._last, gained=(), lost=())
        self.news.tell("view", {"version": version})

    def tell(self, state: State) -> None:
        """Tell how the reading goes."""
        self._follows = state.phase != "still"
        self.news.tell("state", asdict(replace(state, why=shown(state.why))))

    def page(self, csrf: str) -> bytes:
        """Return the page as it is now."""
        with self._lock:
            scene = self._scene
            if scene.version not in self._pages:
                live = Live(scene.version, csrf, self._follows, self._starts(scene), self._folder)
                self._pages = {scene.version: live_page(scene.view, scene.plans, live).encode()}
            return self._pages[scene.version]

    def draft(self) -> DraftView:
        """Return the draft as it is now."""
        with self._lock:
            return self._view()

    def connection(self, view: int, place: int) -> ConnectionView:
        """Return what the draft says of a connection of a version of the view. Raise Outdated where that is too old."""
        with self._lock:
            found = self._now(view, [place])
            if not found:
                raise Outdated("the map has changed since; look again")
            asked = self._judged()
            policies, _ = paper_views(asked.judged.draft)
            return connection_view(asked.scene, asked.court, asked.judged, policies, found[0])

    def start(self, origin: str) -> DraftView:
        """Begin a draft anew; undo leads back. Raise UsageError where there is no such origin."""
        with self._lock:
            if origin not in self._starts(self._scene):
                raise UsageError(f"a draft starts from {', '.join(self._starts(self._scene))}")
            made = self._begun(self._scene, origin)
            before = self._judged()
            self._push(made)
            return self._changed(before, Changed(self._judged().judged, (f"the draft starts from {origin}",)))

    def add(self, view: int, places: Sequence[int]) -> DraftView:
        """Add connections of a version of the view to the draft. Raise Outdated where that is too old."""
        with self._lock:
            before = self._judged()
            return self._changed(
                before, add(before.scene, before.court, before.judged, self._now(view, places))
            )

    def remove(self, view: int, places: Sequence[int]) -> DraftView:
        """Take connections of a version of the view out of the draft. Raise Outdated where that is too old."""
        with self._lock:
            before = self._judged()
            return self._changed(
                before, remove(before.scene, before.court, before.judged, self._now(view, places))
            )

    def undo(self) -> DraftView:
        """Go back one change; there being none, nothing happens."""
        return self._step(-1, "undone")

    def redo(self) -> DraftView:
        """Go forward one change; there being none, nothing happens."""
        return self._step(1, "done again")

    def save(self) -> DraftView:
        """Write the draft into the folder. Raise UsageError where none was named, or it cannot be written."""
        with self._lock:
            if self._saver is None:
                raise UsageError("no folder was named to save into: start flowmine ui with --save DIR")
            saved = self._saver.save(self._draft)
            self._last = Last((_told(saved, self._folder),))
            return replace(self._view(), saved=saved.written)

    @property
    def _scene(self) -> Scene:
        return next(reversed(self._scenes.values()))

    @property
    def _draft(self) -> Draft:
        return self._history[self._at]

    @property
    def _folder(self) -> str:
        return str(self._saver.folder) if self._saver else ""

    @staticmethod
    def _starts(scene: Scene) -> tuple[str, ...]:
        recommended = scene.advice.recommendation is not None
        return (
            *([IN_FORCE] if scene.ground.manifests else []),
            NOTHING,
            *([RECOMMENDED] if recommended else []),
        )

    @staticmethod
    def _begun(scene: Scene, origin: str) -> Draft:
        found = scene.advice.recommendation
        if origin == RECOMMENDED and found is not None:
            return recommended_draft(scene.ground, found.proposals, Witness(scene.edges), origin)
        return in_force_draft(scene.ground, origin) if origin == IN_FORCE else Draft({}, scene.ground, origin)

    def _reground(self, scene: Scene) -> None:
        """Let the drafts stand on the policies of the scene: whose they are shows only once somebody was seen."""
        if not self._history:
            self._history = [self._begun(scene, self._starts(scene)[0])]
        elif self._history[0].ground is not scene.ground:
            self._history = [
                Draft(each.papers, scene.ground, each.origin, each.did) for each in self._history
            ]
        self._asked = None

    def _now(self, view: int, places: Sequence[int]) -> list[int]:
        """Return places in an earlier version of the view as those in the newest."""
        scene, now = self._scenes.get(view), self._scene
        if scene is None or not all(0 <= place < len(scene.rows) for place in places):
            raise Outdated("the map has changed since; look again")
        if scene is now:
            return list(places)
        known = {now.name(place): place for place in range(len(now.rows))}
        return [known[scene.name(place)] for place in places if scene.name(place) in known]

    def _judged(self) -> _Asked:
        """Return the draft judged over the newest scene; from what was judged before where that is the same."""
        known, scene = self._asked, self._scene
        if known is None or known.scene is not scene:
            court = Court(scene)
            self._asked = _Asked(scene, court, court.judge(self._draft))
        elif known.judged.draft is not self._draft:
            self._asked = replace(known, judged=known.court.judge(self._draft, known.judged))
        assert self._asked is not None
        return self._asked

    def _push(self, draft: Draft) -> None:
        self._history = [*self._history[: self._at + 1], draft][-_MOST_STEPS:]
        self._at = len(self._history) - 1

    def _step(self, by: int, word: str) -> DraftView:
        with self._lock:
            at = self._at + by
            if not 0 <= at < len(self._history):
                return self._view()
            before, did = self._judged(), self._history[max(self._at, at)].did
            self._at = at
            return self._changed(before, Changed(self._judged().judged, (f"{word}: {did or 'a new start'}",)))

    def _changed(self, before: _Asked, made: Changed) -> DraftView:
        """Take over a change, tell other pages of it, and return the draft with what it did."""
        if made.judged.draft is not self._draft:
            self._push(made.judged.draft)
        self._asked = replace(before, judged=made.judged)
        scene, court = before.scene, before.court
        was, now = (
            {row for row, ruling in each.rulings.items() if court.works(row, ruling)}
            for each in (before.judged, made.judged)
        )
        gained, lost = (
            tuple(dict.fromkeys(scene.connection_of[row] for row in sorted(rows)))
            for rows in (now - was, was - now)
        )
        self._last = Last(tuple(map(shown, made.done)), tuple(map(shown, made.problems)), gained, lost)
        self._revision += 1
        self.news.tell("draft", {"revision": self._revision})
        return self._view()

    def _view(self) -> DraftView:
        asked = self._judged()
        history, at = self._history, self._at
        return draft_view(
            asked.scene,
            asked.court,
            asked.judged,
            revision=self._revision,
            starts=self._starts(asked.scene),
            undo=shown(history[at].did or "the new start") if at else None,
            redo=shown(history[at + 1].did or "the new start") if at + 1 < len(history) else None,
            last=self._last,
            folder=self._folder,
        )


def _told(saved: Saved, folder: str) -> str:
    """Return what was saved in a sentence."""
    count = len(saved.written)
    parts = [f"{count:,} file{'' if count == 1 else 's'} written to {folder}: {', '.join(saved.written[:6])}"]
    if count > 6:
        parts[0] += f" and {count - 6:,} more"
    if saved.withdrawn:
        parts.append(f"taken back: {', '.join(saved.withdrawn)}")
    if saved.others:
        parts.append(
            f"{len(saved.others):,} other files there are not of this draft: {', '.join(saved.others[:3])}"
        )
    return "; ".join(parts)
