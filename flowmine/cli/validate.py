"""`flowmine validate`: say of policies what the API server and Cilium's agent would say."""

import json
from collections import Counter
from dataclasses import asdict

import click

from flowmine.cli.exitcodes import FailOn, fails_on, graver
from flowmine.cli.places import with_lines
from flowmine.errors import PolicyError
from flowmine.policy import validate as checks
from flowmine.policy.files import Document, Loaded, load

__all__ = ["command", "validate"]

Finding = tuple[Document, checks.Problem]


@click.command(short_help="Check policies against Cilium's own limits.")
@click.argument("policies", metavar="POLICY...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "sarif", "junit", "md"]),
    default="table",
    show_default=True,
    help="How to print problems.",
)
@click.option(
    "--unknown",
    type=click.Choice(["error", "prune"]),
    default="error",
    show_default=True,
    help="Refuse unknown fields as kubectl does, or drop them with a warning as the API server does.",
)
@click.option(
    "--enable-node-selector-labels",
    "nodes",
    is_flag=True,
    help="The agents run with this option: take fromNodes.",
)
@click.option(
    "--enable-extended-ip-protocols",
    "protocols",
    is_flag=True,
    help="The agents run with this option: VRRP, IGMP.",
)
@fails_on("validate")
def validate(
    policies: tuple[str, ...],
    output: str,
    unknown: checks.Unknown,
    nodes: bool,
    protocols: bool,
    failing: FailOn,
) -> int:
    """Check policies against the limits of Kubernetes and Cilium 1.19, offline.

    POLICY is a file of YAML or JSON (several documents, List objects and the output of kubectl get are fine), a folder,
    or "-" for stdin. CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, CiliumCIDRGroup and
    CiliumEgressGatewayPolicy are checked; other kinds are named and passed over.

    Each line is FILE:DOCUMENT:PATH, what is wrong, and what to write instead. Exit 0: Kubernetes and Cilium would take
    every policy (there may be warnings), 1: they would refuse one, 2: a file cannot be read.
    """
    loaded = load(*policies, unknown=unknown)
    if not loaded.documents:
        raise PolicyError(f"{' '.join(policies)}: there is no policy to check{_passed_over(loaded)}")
    features = checks.Features(node_selector_labels=nodes, extended_ip_protocols=protocols)
    findings = [
        (document, problem)
        for document in loaded.documents
        for problem in checks.validate(document.value, unknown=unknown, features=features)
    ]
    click.echo(_printed(output, loaded, findings, failing), nl=False)
    for skipped in loaded.skipped:
        click.echo(f"{skipped.where}: {skipped.what} passed over: {skipped.reason}", err=True)
    click.echo(_summary(loaded, findings), err=True)
    levels = {problem.severity.value for _, problem in findings}
    return failing.code({**graver(levels), "passed-over": loaded.skipped})


command = validate


def _printed(output: str, loaded: Loaded, findings: list[Finding], failing: FailOn) -> str:
    if output == "table":
        return _as_table(findings)
    if output == "json":
        return _as_json(loaded, findings)
    from flowmine.advise.policyfindings import PROBLEM_RULES, document_name, problem_findings
    from flowmine.report import ci
    from flowmine.report.findingsmarkdown import as_markdown

    checked = list(dict.fromkeys(map(document_name, loaded.documents)))
    found = with_lines(problem_findings(findings))
    report = ci.Report("validate", PROBLEM_RULES, checked, found, failing.fails)
    return {"sarif": ci.as_sarif, "junit": ci.as_junit, "md": as_markdown}[output](report)


def _as_table(findings: list[Finding]) -> str:
    lines = []
    for document, problem in findings:
        word = "" if problem.severity is checks.Severity.ERROR else "warning: "
        lines.append(f"{document.at(problem.path)}: {word}{problem.message}; {problem.fix}")
    return "".join(f"{_one_line(line)}\n" for line in lines)


def _one_line(text: str) -> str:
    """Return the text with its control characters escaped, for file names and keys can hold any."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _as_json(loaded: Loaded, findings: list[Finding]) -> str:
    """Return `{"policies", "problems", "skipped"}`; a problem has its file, document, line and item beside its own fields."""
    problems = [
        {"file": document.file, "document": document.index, "line": document.line, "item": document.item}
        | asdict(problem)
        for document, problem in findings
    ]
    skipped = [asdict(each) for each in loaded.skipped]
    report = {"policies": len(loaded.documents), "problems": problems, "skipped": skipped}
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _summary(loaded: Loaded, findings: list[Finding]) -> str:
    count = Counter(problem.severity for _, problem in findings)
    bad = len({id(document) for document, problem in findings if problem.severity is checks.Severity.ERROR})
    total = len(loaded.documents)
    told = f"{total} {'policy' if total == 1 else 'policies'} checked, {bad} would be refused"
    return f"{told} ({count[checks.Severity.ERROR]} errors, {count[checks.Severity.WARNING]} warnings)"


def _passed_over(loaded: Loaded) -> str:
    kinds = Counter(skipped.what.split(" ")[0] for skipped in loaded.skipped)
    return (
        f" (passed over: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})"
        if kinds
        else ""
    )
