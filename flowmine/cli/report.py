"""`flowmine report`: one page that one can send, with the map, the policies, the drops and how far to trust them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowmine.cli.display import write_bytes
from flowmine.cli.exitcodes import FailOn, drop_classes, fails_on, reading_classes
from flowmine.cli.fromcluster import FromCluster, cluster_options
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.policiesinforce import Agents, agent_options
from flowmine.cli.scaleoptions import scale_options
from flowmine.cli.window import WindowCommand
from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.edges import Edges
    from flowmine.report.redact import Redact
    from flowmine.report.view import View

__all__ = ["report"]

_NAMED = 3

Renderer = Callable[["View"], bytes]
"""Makes the bytes of one format."""


@click.command(cls=WindowCommand)
@capture_inputs
@scale_options
@click.option(
    "--policies",
    multiple=True,
    metavar="PATH",
    help="The policies in force: a file, a folder, or - for stdin. Repeatable.",
)
@cluster_options
@agent_options
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="The page (.html), its map alone (.svg) or the view model of it (.json); - is the page on stdout.",
)
@click.option(
    "--redact",
    default="",
    metavar="ips,pods",
    help="Put stand-ins for addresses, names of pods, or both.",
)
@click.option("--title", metavar="TEXT", help="What to call it (default: the names of the inputs).")
@click.option(
    "--cilium", metavar="VERSION", help="Write for this version (default: the one that made the capture)."
)
@fails_on("report")
def report(
    capture: Capture,
    policies: tuple[str, ...],
    cluster: FromCluster,
    agents: Agents,
    output: str,
    redact: str,
    title: str | None,
    cilium: str | None,
    failing: FailOn,
) -> int:
    """Write one self-contained page: who talks to whom, what would allow it, what was dropped and why.

    The page needs no network and no server. It holds the map, every connection with the rule that admits it, the drops with
    their fixes, what lint finds in the policies given, the order of a rollout, and what the capture lacks.
    """
    from dataclasses import replace

    from flowmine.edges import COLUMNS, REQUEST_COLUMNS
    from flowmine.policy.versions import oldest_version, parse_version
    from flowmine.report.advised import advised
    from flowmine.report.compose import compose
    from flowmine.report.redact import redacted, shown
    from flowmine.report.view import mapped
    from flowmine.synth.options import Options

    wanted = _redactions(redact)
    render = _renderer(output)
    written = agents.read(policies, cluster)
    with capture.reading(columns=(*COLUMNS, *REQUEST_COLUMNS)) as reading:
        edges = reading.edges(requests=True)
        seen = oldest_version(reading.source.ledger.versions)
        options = replace(Options(), cilium=parse_version(cilium) if cilium else seen or Options().cilium)
        known = agents.in_force(written, edges) if written else None
        sources = (written.documents, written.texts) if written else ((), {})
        advice = advised(edges, reading.source.ledger, options, known, sources)
        view = compose(edges, reading.source.ledger, advice, title or _title(capture))
        view = mapped(redacted(view, wanted, _pods(edges)), shown)
        made = render(view)
        reading.tell(_conclusion(view, output, len(made)))
    write_bytes(made, None if output == "-" else Path(output))
    return failing.code(drop_classes(advice.drops) | reading_classes(reading.source.ledger))


def _redactions(text: str) -> "list[Redact]":
    from flowmine.report.redact import Redact

    words = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := sorted(set(words) - set(Redact)):
        raise UsageError(f"--redact takes {' and '.join(Redact)}, not {', '.join(unknown)}")
    return [Redact(word) for word in words]


def _renderer(output: str) -> Renderer:
    if output == "-" and sys.stdout.isatty():
        raise UsageError("-o -: a page is not for terminals: name a file, or use a pipe")
    kind = ".html" if output == "-" else Path(output).suffix.lower()
    if kind not in _RENDERERS:
        raise UsageError(f"-o {output}: a report is written as {', '.join(_RENDERERS)}; name such a file")
    return _RENDERERS[kind]


def _page(view: "View") -> bytes:
    from flowmine.report.html import report_page

    return report_page(view).encode()


def _picture(view: "View") -> bytes:
    from flowmine.report.map import maps
    from flowmine.report.mapsvg import map_svg

    return map_svg(view, maps(view)[0]).encode()


def _model(view: "View") -> bytes:
    from flowmine.report.html import view_json

    return view_json(view) + b"\n"


_RENDERERS: dict[str, Renderer] = {".html": _page, ".svg": _picture, ".json": _model}


def _pods(edges: "Edges") -> set[str]:
    listed = edges.endpoints.column("pods").to_pylist()
    alone = edges.endpoints.column("pod").to_pylist()
    return {
        *edges.pods.column("pod_name").to_pylist(),
        *(pod for pods in listed for pod in pods or ()),
        *filter(None, alone),
    }


def _title(capture: Capture) -> str:
    names = [Path(name).name or name for name in capture.inputs]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more if names else "live traffic"


def _conclusion(view: "View", output: str, size: int) -> str:
    ends, count = len(view.nodes), len(view.connections)
    return f"{output}: {count:,} connections between {ends:,} ends, {size / 1000:,.0f} kB"
