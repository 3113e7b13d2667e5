"""Imports go down only, and the few libraries with a home are imported nowhere else: read from the import statements."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "flowmine"

LAYERS = [
    {"__main__"},
    {"cli"},
    {"web"},
    {"notebook"},
    {"live"},
    {"report"},
    {"advise"},
    {"scale", "cluster"},
    {"synth", "engine"},
    {"edges"},
    {"policy", "ingest"},
    {"ledger"},
    {"peers"},
    {"labels", "ports", "dropreasons", "outputs"},
    {"schema"},
    {"errors", "arrow", "yamlvalue"},
]
"""The parts of flowmine, the highest first; those of one layer may not see each other."""

HOMES = {
    "click": ("flowmine.cli",),
    "rich": ("flowmine.cli",),
    "grpc": ("flowmine.ingest.relay", "flowmine.ingest.replay"),
    "jinja2": ("flowmine.report",),
    "kubernetes": ("flowmine.cluster",),
    "dask": ("flowmine.scale",),
    "distributed": ("flowmine.scale",),
    "numba": ("flowmine.ingest.kernel", "flowmine.ingest.kernelwords"),
    "llvmlite": ("flowmine.ingest.kernelwords", "flowmine.ingest.machinecode"),
}
"""Library -> the modules or packages that may import it."""


def sources() -> Iterator[tuple[str, str]]:
    """Yield every module's name and text, generated ones apart; the facade sees all and is left out."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("flowmine", *path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts != ("flowmine",) and "pb" not in parts:
            yield ".".join(parts), path.read_text("utf-8")


def imported(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield each imported module's name, and whether the import stands in a function called ``to_pandas``."""
    for node, inside in _walk(tree, False):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            deeper = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "flowmine" else []
            )
            yield from ((name, inside) for name in deeper or [node.module])


def _walk(node: ast.AST, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
    inside = inside or (isinstance(node, ast.FunctionDef) and node.name == "to_pandas")
    yield node, inside
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, inside)


def layer(module: str) -> int | None:
    """Return how deep a module of flowmine lies, 0 the highest; None where it has no layer."""
    part = module.split(".")[1] if module.startswith("flowmine.") else ""
    return next((depth for depth, parts in enumerate(LAYERS) if part in parts), None)


def complaints(module: str, text: str) -> list[str]:
    """Return what is wrong with the imports of a module, each as a sentence."""
    found = []
    own, part = layer(module), module.split(".")[1]
    if own is None:
        return [f"{module} has no layer"]
    for name, in_to_pandas in imported(ast.parse(text)):
        other, library = layer(name), name.partition(".")[0]
        if other is not None and name.split(".")[1] != part and other <= own:
            found.append(f"{module} imports {name}, which does not lie below it")
        if library in HOMES and not any(f"{module}.".startswith(f"{home}.") for home in HOMES[library]):
            found.append(f"{module} imports {library}, which belongs to {' and '.join(HOMES[library])}")
        if library == "pandas" and not in_to_pandas:
            found.append(f"{module} imports pandas outside a to_pandas")
    return found


def test_imports_go_down_only_and_libraries_stay_at_home() -> None:
    """No module of flowmine imports a higher part, its neighbour, or a library that has its home elsewhere."""
    assert [complaint for module, text in sources() for complaint in complaints(module, text)] == []


@pytest.mark.parametrize(
    ("module", "text", "expected"),
    [
        (
            "flowmine.edges.settle",
            "from flowmine.cli import main",
            ["flowmine.edges.settle imports flowmine.cli, which does not lie below it"],
        ),
        (
            "flowmine.synth.rules",
            "def f():\n  import flowmine.engine.verdict",
            ["flowmine.synth.rules imports flowmine.engine.verdict, which does not lie below it"],
        ),
        (
            "flowmine.report.html",
            "import rich.table",
            ["flowmine.report.html imports rich, which belongs to flowmine.cli"],
        ),
        ("flowmine.edges", "import pandas", ["flowmine.edges imports pandas outside a to_pandas"]),
        ("flowmine.utils", "", ["flowmine.utils has no layer"]),
        ("flowmine.edges", "def to_pandas(): import pandas", []),
        ("flowmine.cli.flows", "import click\nfrom flowmine.errors import UsageError", []),
        ("flowmine.cli.flows", "from flowmine import __version__", []),
        (
            "flowmine.edges",
            "from flowmine import cli",
            ["flowmine.edges imports flowmine.cli, which does not lie below it"],
        ),
        ("flowmine.synth.rules", "from flowmine.synth.paths import x", []),
    ],
)
def test_what_is_complained_of(module: str, text: str, expected: list[str]) -> None:
    """The check sees imports anywhere in a module, of a part, a neighbour or a library."""
    assert expected == complaints(module, text)
