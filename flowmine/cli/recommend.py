"""`flowmine recommend`: the least-privilege policies for the workloads of a capture, proved before they are written."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.collecting import uncollected
from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.filterlist import OPTIONS
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.proposals import write_proposals
from flowmine.cli.scaleoptions import scale_options
from flowmine.cli.window import WindowCommand
from flowmine.errors import InputError, UsageError
from flowmine.policy.versions import oldest_version, parse_version

if TYPE_CHECKING:
    from flowmine.advise.recommend import Recommendation
    from flowmine.ledger import Ledger
    from flowmine.policy.mergewrite import Change
    from flowmine.synth.options import Options
    from flowmine.synth.scope import Gateway, Scope

__all__ = ["recommend"]

_OWN = frozenset({"namespace", "all-namespaces"})
_ESSENTIAL = frozenset({"labels", "l4", "verdict"})
"""What no rule can do without: whom, on which port, and whether it was allowed."""


class WholeTrafficCommand(WindowCommand):
    """A command that knows the filters of `hubble observe` and refuses those that would hide traffic.

    Of a live server a window is taken: all that is seen in it is seen.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does. Raise UsageError where a filter is among the arguments."""
        refused: set[str] = set()
        for name, short, _, _ in OPTIONS:
            if name not in _OWN:
                refused |= {f"--{name}", *([f"-{short}"] if short else [])}
        for arg in args:
            if arg == "--":
                break
            if arg.partition("=")[0] in refused:
                raise UsageError(
                    f"recommend takes no {arg.partition('=')[0]}: it would hide part of a workload's traffic, and the "
                    "policy would cut that off; choose whose policies are written with -n, -A and --exclude"
                )
        return super().parse_args(ctx, args)


@click.command(cls=WholeTrafficCommand)
@capture_inputs
@scale_options
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, metavar="NS", help="Only policies of this namespace."
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Policies of all namespaces (the default).")
@click.option(
    "--exclude", multiple=True, metavar="NS", help="No policies of this namespace (* and ? as in shells)."
)
@click.option("--include-system", is_flag=True, help="Also policies of kube-system, cilium and the like.")
@click.option(
    "-o", "--output", metavar="DIR|-|json", help="A folder to write, YAML (-, the default) or JSON on stdout."
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Add what is missing to the policies in this folder instead.",
)
@click.option("--dry-run", is_flag=True, help="With --into: print the unified diff and write nothing.")
@click.option(
    "--per",
    type=click.Choice(["workload", "namespace", "flow"]),
    default="workload",
    show_default=True,
    help="What one policy is for; what they allow together is the same.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["cnp", "knp"]),
    default="cnp",
    show_default=True,
    help="Cilium's own policies, or Kubernetes NetworkPolicy as far as that has words for them.",
)
@click.option(
    "--baseline", is_flag=True, help="Also close each namespace whole, pods that come later included."
)
@click.option("--host-policies", is_flag=True, help="Also a policy for the nodes themselves.")
@click.option(
    "--host-selector",
    metavar="SELECTOR",
    default="*",
    show_default=True,
    help="The nodes of --host-policies, by label.",
)
@click.option(
    "--egress-gateway",
    "gateways",
    multiple=True,
    metavar="CIDR=NODESELECTOR",
    help="Also a policy that sends the callers of these addresses out through these nodes.",
)
@click.option(
    "--stage",
    type=click.Choice(["observe", "audit", "enforce"]),
    default="enforce",
    show_default=True,
    help="observe: deny nothing yet. audit: with the commands that make the endpoints report instead of deny.",
)
@click.option("--exact", is_flag=True, help="No generalisation at all: nothing that was not seen is allowed.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A threshold (flowmine help options)."
)
@click.option(
    "--known",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Blocks with names: CIDR NAME.",
)
@click.option("--l7", metavar="http,dns", default="", help="Also rules for the requests themselves.")
@click.option(
    "--dns",
    type=click.Choice(["any", "strict"]),
    default="any",
    show_default=True,
    help="Names that may be asked for.",
)
@click.option(
    "--evidence",
    type=click.Choice(["none", "comments", "annotations"]),
    default="comments",
    show_default=True,
    help="Where what was seen behind each rule is told.",
)
@click.option(
    "--include-dropped", multiple=True, metavar="SELECTOR", help="Admit drops of these workloads as well."
)
@click.option("--include-audited", is_flag=True, help="Admit what audit mode would have denied as well.")
@click.option(
    "--complete",
    is_flag=True,
    help="The capture was not filtered: take no workload for half seen by its peers.",
)
@click.option("--prove", is_flag=True, help="Also tell rules without which nothing seen would be denied.")
@click.option(
    "--cilium", metavar="VERSION", help="Write for this version (default: the one that made the capture)."
)
@fails_on("recommend")
def recommend(
    capture: Capture,
    output: str | None,
    into: Path | None,
    dry_run: bool,
    prove: bool,
    evidence: str,
    failing: FailOn,
    **asked: Any,
) -> int:
    """Write the least CiliumNetworkPolicies that allow what was seen, and nothing else.

    Every workload whose own node is in the capture gets one policy with both directions closed but for what was
    delivered. Drops, audited traffic and scans become no rules. Before anything is written the engine judges every
    edge by the result.
    """
    from flowmine.advise.recommend import recommend as advise
    from flowmine.cli.merging import merged, refuse_other_kinds, write_merged
    from flowmine.edges import COLUMNS, REQUEST_COLUMNS
    from flowmine.report.policies import EvidenceIn
    from flowmine.report.recommendation import told

    if into and output:
        raise UsageError(
            "--into and -o contradict each other: add to the policies there are, or write new ones"
        )
    if dry_run and not into:
        raise UsageError("--dry-run shows what --into would do: give --into DIR too")
    if into:
        refuse_other_kinds(asked)
    scope = _scope(asked)
    options = _options(asked)
    with capture.reading(columns=(*COLUMNS, *REQUEST_COLUMNS) if options.l7 else COLUMNS) as reading:
        _need_essentials(reading.source.ledger)
        edges = reading.edges(requests=bool(options.l7), complete=asked["complete"])
        _need_essentials(reading.source.ledger)
        if asked["cilium"] is None:
            options = replace(
                options, cilium=oldest_version(reading.source.ledger.versions) or options.cilium
            )
        with uncollected():
            found = advise(edges, options, scope)
            for line in told(found, rollout=asked["stage"] != "enforce"):
                reading.tell(line)
            if prove:
                for line in _needless(found):
                    reading.tell(line)
            changes: list[Change] = []
            if into:
                changes = merged(found, edges, into, EvidenceIn(evidence), reading.tell)
                reading.end()
                write_merged(changes, dry_run=dry_run)
            else:
                reading.end()
                write_proposals(
                    (*found.proposals, *found.synthesis.gateways), edges, output or "-", EvidenceIn(evidence)
                )
    told_of = {**_classes(found), "changed": any(each.before != each.after for each in changes)}
    return failing.code(told_of | reading_classes(reading.source.ledger))


def _classes(found: "Recommendation") -> dict[str, bool]:
    from flowmine.policy.model import Direction

    made, out = found.synthesis, found.synthesis.left_out
    open_sides = (not each.refused and len(each.seen) < len(Direction) for each in made.standings)
    return {
        "half-seen": any(open_sides),
        "left-out": bool(made.unsaid or out.unnameable or out.unwritable or out.inexpressible),
    }


def _need_essentials(ledger: "Ledger") -> None:
    """Raise InputError where a capture has nothing to write rules of: text has no labels, a field mask left all out."""
    if ledger.texts or _ESSENTIAL & {*ledger.masked}:
        raise InputError(f"no policy can be recommended: {ledger.mask_advice()}")


def _scope(asked: Mapping[str, Any]) -> "Scope":
    from flowmine.policy.labelselector import parse_selector
    from flowmine.synth.scope import Form, Per, Scope, Stage

    if asked["all_namespaces"] and asked["namespaces"]:
        raise UsageError("-n and -A contradict each other: give one of them")
    return Scope(
        namespaces=tuple(asked["namespaces"]),
        exclude=tuple(asked["exclude"]),
        system=asked["include_system"],
        dropped=tuple(map(parse_selector, asked["include_dropped"])),
        audited=asked["include_audited"],
        per=Per(asked["per"]),
        form=Form(asked["form"]),
        baseline=asked["baseline"],
        stage=Stage(asked["stage"]),
        gateways=tuple(map(_gateway, asked["gateways"])),
        hosts=parse_selector(asked["host_selector"]) if asked["host_policies"] else None,
    )


def _gateway(text: str) -> "Gateway":
    """Return a gateway given as CIDR=NODESELECTOR. Raise UsageError where it is none."""
    from ipaddress import ip_network

    from flowmine.policy.labelselector import parse_selector
    from flowmine.synth.scope import Gateway

    cidr, equals, nodes = text.partition("=")
    try:
        network = ip_network(cidr.strip())
    except ValueError as error:
        raise UsageError(f"--egress-gateway {text}: {error} (write CIDR=NODESELECTOR)") from error
    if not equals or not nodes.strip():
        raise UsageError(
            f"--egress-gateway {text}: write CIDR=NODESELECTOR, such as 10.0.4.0/24=egress-gw=true"
        )
    return Gateway(str(network), parse_selector(nodes))


def _options(asked: Mapping[str, Any]) -> "Options":
    from flowmine.cli.knownfile import read_known
    from flowmine.synth.options import Options

    options = Options().exact() if asked["exact"] else Options()
    layers = tuple(part.strip() for part in asked["l7"].split(",") if part.strip())
    if unknown := sorted(set(layers) - {"http", "dns"}):
        raise UsageError(f"--l7 takes http and dns, not {', '.join(unknown)}")
    known = read_known(asked["known"]) if asked["known"] else ()
    options = replace(options, l7=layers, dns=asked["dns"], known=known, **_settings(asked["settings"]))
    return replace(options, cilium=parse_version(asked["cilium"])) if asked["cilium"] else options


def _settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return thresholds given as NAME=VALUE. Raise UsageError where one is unknown or its value is of another kind."""
    from flowmine.synth.options import Options

    kinds = {
        each.name: type(each.default) for each in fields(Options) if isinstance(each.default, int | float)
    }
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in kinds:
            raise UsageError(f"--set {text}: write NAME=VALUE with one of {', '.join(sorted(kinds))}")
        try:
            found[name] = json.loads(value) if kinds[name] is bool else kinds[name](value)
        except ValueError as error:
            raise UsageError(f"--set {text}: {name} is a {kinds[name].__name__}") from error
        if kinds[name] is bool and not isinstance(found[name], bool):
            raise UsageError(f"--set {text}: {name} is true or false")
        if found[name] < 0:
            raise UsageError(f"--set {text}: {name} cannot be negative")
    return found


def _needless(found: "Recommendation") -> Iterable[str]:
    if not found.needless:
        yield "proved: without any one rule something seen would be denied, rules marked required apart"
    for each in found.needless:
        yield f"no edge needs {each}"
