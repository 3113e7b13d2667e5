"""`flowmine ui`: the report as a live page on this machine, with an editor of a draft of policies."""

import webbrowser
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.fromcluster import FromCluster, cluster_options
from flowmine.cli.inputs import Capture, Reading, capture_inputs
from flowmine.cli.policiesinforce import Agents, Written, agent_options
from flowmine.cli.running import BATCH_ROWS, followed
from flowmine.cli.scaleoptions import scale_options
from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.advise.inforce import InForce
    from flowmine.edges import Edges
    from flowmine.ledger import Ledger
    from flowmine.web.desk import Desk
    from flowmine.web.saving import Saver
    from flowmine.web.scene import Grounds

__all__ = ["ui"]

_NAMED = 3


@click.command(short_help="Look at traffic live in a browser, and draft policies by choosing flows.")
@capture_inputs
@scale_options
@click.option(
    "--policies",
    multiple=True,
    metavar="PATH",
    help="The policies in force, which the draft starts from: a file, a folder. Repeatable.",
)
@cluster_options
@agent_options
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Let the page save the draft into this folder, and nowhere else.",
)
@click.option(
    "--cilium", metavar="VERSION", help="Write for this version (default: the one that made the capture)."
)
@click.option("--title", metavar="TEXT", help="What to call it (default: the names of the inputs).")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="Where to serve the page.",
)
@click.option(
    "--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to bind."
)
@click.option(
    "--beyond-this-machine",
    "beyond",
    is_flag=True,
    help="Allow --listen on an address that others reach: whoever learns the URL reads the capture and saves drafts; "
    "nothing is encrypted on the way.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser; only print the address.")
def ui(
    capture: Capture, policies: tuple[str, ...], cluster: FromCluster, agents: Agents, **asked: Any
) -> None:
    """Serve the page of `report` on this machine, with live data, and draft policies by choosing flows.

    Choose a connection, observed or dropped, and add it to the draft or take it out: the YAML and the map's colours follow, judged
    by the engine. The draft can be saved into the folder named by --save; nothing is ever sent to the cluster. The page
    needs the token in the address that is printed. Ctrl-C ends it.
    """
    serving = _serving()
    from flowmine.web.app import application
    from flowmine.web.desk import Desk

    place = serving.Place(asked["listen"], asked["port"], asked["beyond"])
    written = agents.read(policies, cluster)
    with ExitStack() as stack:
        listening = stack.enter_context(serving.bound(place))
        adviser = _Adviser(agents, written, asked["cilium"])
        desk = Desk(asked["title"] or _title(capture), adviser, _saver(asked["save"], policies))
        _fill(stack, desk, followed(capture))
        door = serving.door_of(place, listening)
        address = serving.address_of(place, door)

        def ready() -> None:
            click.echo(f"{address}\nOpen this address; Ctrl-C ends it.", err=False)
            if not asked["no_browser"]:
                webbrowser.open(address)

        serving.serve(application(desk, door), listening, ready, desk.news.close)


def _serving() -> Any:
    """Return the module that serves. Raise UsageError where its libraries are not installed."""
    try:
        from flowmine.web import serving
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise UsageError(f"the page needs {error.name}: pip install 'flowmine[web]'") from error
    return serving


def _saver(folder: Path | None, policies: tuple[str, ...]) -> "Saver | None":
    """Return what saves into the folder named. Raise UsageError where it holds policies in force: they stay as they are."""
    from flowmine.web.saving import Saver

    if folder is None:
        return None
    own = folder.resolve()
    for path in policies:
        other = Path(path).resolve()
        if path != "-" and (other == own or other in own.parents or own in other.parents):
            raise UsageError(
                f"--save {folder} and --policies {path} are the same place: save beside the policies in force, and compare "
                "(flowmine diff)"
            )
    return Saver(folder)


def _fill(stack: ExitStack, desk: "Desk", capture: Capture) -> None:
    """Read a capture to its end, or begin to follow a live server."""
    from flowmine.edges import COLUMNS, REQUEST_COLUMNS
    from flowmine.web.following import Follower, State

    columns: tuple[str, ...] = (*COLUMNS, *REQUEST_COLUMNS)
    if capture.live is None:
        with capture.reading(columns=columns) as reading:
            edges = reading.edges(requests=True)
            reading.end()
            desk.show(edges, reading.source.ledger)
        desk.tell(State("still", "", reading.source.ledger.flows, edges.edges.num_rows))
        return
    columns = (*columns, "node_name")
    reading = stack.enter_context(
        capture.reading(bar=False, columns=columns, batch_rows=BATCH_ROWS, tick=1.0)
    )
    desk.show(_nothing(reading), reading.source.ledger)
    stack.enter_context(Follower(reading.source, desk.show, desk.tell))


def _nothing(reading: Reading) -> "Edges":
    """Return the edges of a stream of which nothing has come yet."""
    from flowmine.edges import empty, settle

    source = reading.source
    return settle(empty(), source.endpoints, source.pods, source.ledger.table())


class _Adviser:
    """Advises on what was captured until now; the policies in force are read once, and taken for the capture's cluster."""

    def __init__(self, agents: Agents, written: Written | None, cilium: str | None) -> None:
        from flowmine.policy.versions import parse_version

        self._agents, self._written = agents, written
        self._cilium = parse_version(cilium) if cilium else None
        self._known: tuple[Any, InForce] | None = None

    def __call__(self, edges: "Edges", ledger: "Ledger") -> "Grounds":
        from flowmine.policy.versions import oldest_version
        from flowmine.report.advised import advised
        from flowmine.synth.options import Options
        from flowmine.web.scene import Grounds

        seen = self._cilium or oldest_version(ledger.versions)
        options = replace(Options(), cilium=seen) if seen else Options()
        policies = self._in_force(edges)
        written = self._written
        if written is None:
            return Grounds(advised(edges, ledger, options), options, policies)
        sources = (written.documents, written.texts)
        return Grounds(advised(edges, ledger, options, policies, sources), options, policies)

    def _in_force(self, edges: "Edges") -> "InForce":
        """Return the policies in force, or none; made anew only where the capture shows another cluster, or both families."""
        from flowmine.advise.inforce import own_cluster
        from flowmine.advise.replay import is_dual_stack

        told = (own_cluster(edges), is_dual_stack(edges))
        if self._known is None or self._known[0] != told:
            self._known = (told, self._agents.in_force(self._written or Written(), edges))
        return self._known[1]


def _title(capture: Capture) -> str:
    if capture.live is not None:
        return str(capture.live.settings.get("server") or "live traffic")
    names = [Path(name).name or name for name in capture.inputs]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
