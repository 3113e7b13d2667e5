"""Views of the sample captures, made once, and one in which every text is hostile."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from flowmine.advise.drops import drops
from flowmine.advise.inforce import in_force, own_cluster
from flowmine.advise.lint import lint
from flowmine.advise.recommend import recommend
from flowmine.edges import COLUMNS, REQUEST_COLUMNS, aggregate
from flowmine.ingest import open_flows
from flowmine.policy.files import load
from flowmine.report.compose import Advice, compose
from flowmine.report.tables import Table
from flowmine.report.view import OUTCOMES, Connection, Group, Node, View, mapped

SAMPLES = Path(__file__).parents[2] / "sample_flows"
NAMES = ("empire", "linkding", "node", "three-tier")

HOSTILE = (
    "<script>window.owned=1</script>\"'><img src=x onerror=window.owned=1>{{7*7}}&amp;]]>--><!--\u202e\u2067"
)
"""What a name would look like that wants to run, to end an element, or to turn the text round."""

_WORDS = frozenset(
    {
        *OUTCOMES,
        "namespace",
        "platform",
        "outside",
        "caller",
        "called",
        "recommended",
        "in force",
        "error",
        "warning",
        "note",
    }
    | {"allowed", "denied", "deny-rule", "no-policy", "not governed", "entity", "TCP", "UDP"}
)
"""Words of our own, which no capture can choose."""


@cache
def sample_view(name: str) -> View:
    """Return the view of a sample, with the policies in force there."""
    source = open_flows(str(SAMPLES / name), columns=(*COLUMNS, *REQUEST_COLUMNS))
    edges = aggregate(source, requests=True)
    documents = load(str(SAMPLES / name / "policies")).documents
    policies = in_force(documents, cluster=own_cluster(edges)[0])
    advice = Advice(drops(edges, policies), recommend(edges), policies, lint(documents), ("a remark",))
    return compose(edges, source.ledger, advice, name)


def hostile_view(long: int = 0) -> View:
    """Return a view whose every text that a capture or a policy can choose is hostile, and ``long`` characters longer."""
    return mapped(sample_view("linkding"), _spoiled(long))


def _spoiled(long: int) -> Callable[[str], str]:
    return lambda text: text if text in _WORDS else f"{text.rstrip()}{HOSTILE}{'W' * long}"


def drawn_view(links: list[tuple[str, str]], outcome: str = "delivered") -> View:
    """Return a view of nodes ``group/name`` and connections between them, with nothing else."""
    ends = sorted({end for link in links for end in link})
    groups = sorted({end.partition("/")[0] for end in ends})
    return View(
        "drawn",
        (),
        tuple(Group(group, "namespace") for group in groups),
        tuple(Node(end.partition("/")[2], groups.index(end.partition("/")[0]), "Deployment") for end in ends),
        tuple(
            Connection(ends.index(one), ends.index(other), "TCP", 80, outcome, False, 9, 9, 0, 0, None, None)
            for one, other in links
        ),
        Table((), ()),
    )
