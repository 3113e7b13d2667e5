"""Desks over captures and real servers of them, for tests."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowmine.advise.inforce import in_force, own_cluster
from flowmine.edges import COLUMNS, REQUEST_COLUMNS, Edges, aggregate
from flowmine.ingest import open_flows
from flowmine.ledger import Ledger
from flowmine.policy.files import Document, load
from flowmine.report.advised import advised
from flowmine.synth.options import Options
from flowmine.web.app import application
from flowmine.web.desk import Desk
from flowmine.web.following import State
from flowmine.web.guard import Door
from flowmine.web.saving import Saver
from flowmine.web.scene import Grounds
from flowmine.web.serving import Place, bound, door_of, server_of

SAMPLES = Path(__file__).parents[2] / "sample_flows"


@dataclass
class Served:
    """A page that is served: where, with which secrets, over which desk."""

    address: str
    door: Door
    desk: Desk

    @property
    def url(self) -> str:
        """The address to open, with its token."""
        return f"{self.address}/?token={self.door.token}"


def read(path: Path | str) -> tuple[Edges, Ledger]:
    """Return the edges and the ledger of a capture."""
    source = open_flows(str(path), columns=(*COLUMNS, *REQUEST_COLUMNS))
    return aggregate(source, requests=True), source.ledger


def grounds(edges: Edges, ledger: Ledger, documents: Sequence[Document] = ()) -> Grounds:
    """Return what drafts over a capture stand on, with these policies in force."""
    policies = in_force(documents, cluster=own_cluster(edges)[0])
    options = Options()
    advice = advised(edges, ledger, options, policies if documents else None, (documents, {}))
    return Grounds(advice, options, policies)


def desk_of(
    capture: Path | str, policies: Path | str | None = None, folder: Path | None = None, title: str = "test"
) -> Desk:
    """Return a desk on which a capture lies, and policies in force if a path of them is given."""
    documents = load(policies).documents if policies else ()
    made = Desk(
        title, lambda edges, ledger: grounds(edges, ledger, documents), Saver(folder) if folder else None
    )
    edges, ledger = read(capture)
    made.show(edges, ledger)
    made.tell(State("still", "", ledger.flows, edges.edges.num_rows))
    return made


def sample_desk(name: str, folder: Path | None = None, *, governed: bool = True) -> Desk:
    """Return a desk with a sample, and the policies in force there if it is ``governed``."""
    return desk_of(SAMPLES / name, SAMPLES / name / "policies" if governed else None, folder, name)


@contextmanager
def serving(desk: Desk) -> Iterator[Served]:
    """Serve a desk on a free port of this machine while the block runs."""
    place = Place()
    with bound(place) as listening:
        door = door_of(place, listening)
        server: Any = server_of(application(desk, door), desk.news.close)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{door.port}", door, desk)
        finally:
            desk.news.close()
            server.should_exit = True
            thread.join(10)


def place_of(desk: Desk, source: str, target: str, where: str, outcome: str = "") -> int:
    """Return the place of a connection in the newest view, by what its ends are called."""
    scene = next(reversed(desk._scenes.values()))
    name = f"{source} to {target} on {where}"
    (found,) = [
        place
        for place, each in enumerate(scene.view.connections)
        if scene.name(place) == name and outcome in ("", each.outcome)
    ]
    return found
