"""The comments of all commands fit into one of GitHub's, however much there is to tell."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from flowmine.advise.diff import Change, Difference
from flowmine.advise.drops import DropReport, drops
from flowmine.advise.finding import Finding, Level, RuleInfo
from flowmine.advise.inforce import in_force
from flowmine.advise.simulate import Simulation, simulate
from flowmine.edges import COLUMNS, REQUEST_COLUMNS
from flowmine.ingest import open_flows
from flowmine.policy.files import load, read_texts
from flowmine.policy.model import Direction
from flowmine.ports import PortSet
from flowmine.report.ci import Report
from flowmine.report.comment import LIMIT
from flowmine.report.diffview import diff_markdown
from flowmine.report.dropsmarkdown import drops_markdown
from flowmine.report.findingsmarkdown import as_markdown
from flowmine.report.simulateview import simulation_markdown
from flowmine.scale import aggregate

LINKDING = Path(__file__).parents[2] / "sample_flows" / "linkding"


def fits(lines: Iterable[str]) -> str:
    """Check the size and that nothing is left open; return the text."""
    text = "".join(f"{line}\n" for line in lines)
    assert LIMIT * 0.8 < len(text.encode("utf-8", "backslashreplace")) <= LIMIT
    assert text.count("<details>") == text.count("</details>")
    assert 0 == sum(line.startswith("```") for line in text.splitlines()) % 2
    assert "**Cut to what fits into a comment.**" in text
    return text


@pytest.fixture(scope="module")
def told() -> tuple[DropReport, Simulation]:
    """The drops of a sample with their changes, and what its policies would do to it."""
    documents = load(str(LINKDING / "policies")).documents
    edges = aggregate(open_flows(str(LINKDING), columns=(*COLUMNS, *REQUEST_COLUMNS)), requests=True)
    known = in_force(documents)
    return drops(edges, known, texts=read_texts(documents)), simulate(edges, known)


def test_drops_fit(told: tuple[DropReport, Simulation]) -> None:
    """Thousands of groups of drops are cut; the rows of the table come before the changes."""
    report, _ = told
    text = fits(drops_markdown(replace(report, drops=report.drops * 20)))
    assert "refused by policies: 280 of 280" not in text
    assert "changes: " in text.split("### refused by policies")[0]


def test_simulations_fit(told: tuple[DropReport, Simulation]) -> None:
    """Thousands of changes are cut, what would break last of all."""
    _, found = told
    assert found.shifts or found.unused
    many = replace(
        found, unused=found.unused * 3000, coverage=found.coverage * 1000, shifts=found.shifts * 100
    )
    assert "entries that no flow used: " in fits(simulation_markdown(many))


def test_differences_fit() -> None:
    """Thousands of differences are cut, what is newly allowed last of all."""
    names = tuple(f"shop/workload-{number}" for number in range(50))
    differences = [
        Difference(change, names, names, PortSet.span("TCP", number, number), (Direction.INGRESS,), names[:3])
        for change in Change
        for number in range(1, 400)
    ]
    text = fits(diff_markdown(differences))
    assert "newly denied: 0 of 399 shown; other requests: 0 of 399 shown" in text
    assert 290 < text.count("| newly allowed |") < 399


def test_findings_fit() -> None:
    """Thousands of findings are cut, errors last of all."""
    findings = [
        Finding(
            "rule",
            level,
            "what is wrong " * 5,
            "mend it",
            f"CiliumNetworkPolicy/shop/p{number}",
            "",
            f"p{number}.yaml",
        )
        for number in range(300)
        for level in (Level.NOTE, Level.WARNING, Level.ERROR)
    ]
    text = fits(
        as_markdown(Report("lint", (RuleInfo("rule", "a rule", Level.ERROR),), [], findings)).splitlines()
    )
    assert 300 == text.split("### ⚠️ warnings")[0].count("| `rule` |")
