"""`flowmine version`, and what it knows of what is installed."""

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine import __version__
from flowmine.cli import main
from flowmine.cli.installed import Package, extras, packages, requirements

ROOT = Path(__file__).parents[2]


def test_versions_are_those_of_the_packages() -> None:
    """Each package of the core is told with the version that its metadata has, flowmine and Python first."""
    told = CliRunner().invoke(main, ["version"]).stdout.splitlines()
    lines = dict(line.split(maxsplit=1) for line in told)
    assert ["flowmine", "python", "platform"] == list(lines)[:3]
    assert (__version__, platform.python_version()) == (lines["flowmine"], lines["python"])
    for name in ("pyarrow", "grpcio", "protobuf", "click"):
        assert metadata.version(name) == lines[name]


def test_json_is_one_object() -> None:
    """With -o json the packages of the core stand apart from those of extras; what is not installed is null."""
    told = json.loads(CliRunner().invoke(main, ["version", "-o", "json"]).stdout)
    assert {"flowmine", "python", "platform", "packages", "extras"} == set(told)
    assert metadata.version("pyarrow") == told["packages"]["pyarrow"]
    assert {"k8s", "web", "dask", "fast", "notebook", "cel", "bench"} <= set(told["extras"])
    assert "test" not in told["extras"]


def test_requirements_are_read_as_metadata_and_projects_write_them() -> None:
    """A requirement's name, floor and extra are found; without any of them it is still a package."""
    texts = [
        "click>=8.2.1",
        "no-such-package",
        "kubernetes>=31; extra == 'k8s'",
        'dask>=2024.8; extra == "dask"',
    ]
    found = {each.name: (each.floor, each.extra) for each in packages(texts)}
    assert {
        "click": ("8.2.1", ""),
        "no-such-package": ("", ""),
        "kubernetes": ("31", "k8s"),
        "dask": ("2024.8", "dask"),
    } == found
    assert ["dask", "k8s"] == list(extras(packages(texts)))


def test_all_that_the_project_declares_is_found() -> None:
    """The core and every extra of pyproject.toml are known, whether flowmine is installed or run from its tree."""
    found = packages(requirements())
    assert {"click", "pyarrow", "grpcio"} <= {each.name for each in found if not each.extra}
    assert {"bench", "cel", "dask", "fast", "k8s", "notebook", "test", "web"} <= set(extras(found))


@pytest.mark.parametrize(
    ("floor", "version", "expected"),
    [
        ("8.2.1", "8.2.1", False),
        ("8.2.1", "8.2", True),
        ("8.2", "8.2.0", False),
        ("8.10", "8.9.3", True),
        ("1.66", "1.66.0rc1", False),
        ("1.66", "", False),
        ("", "1.0", False),
    ],
)
def test_what_is_too_old(floor: str, version: str, expected: bool) -> None:
    """Versions are compared number by number; what is not there, or needs no floor, is not too old."""
    assert expected is Package("x", floor=floor, version=version).is_too_old


HEAVY = (
    "numpy",
    "pandas",
    "pyarrow",
    "grpc",
    "google.protobuf",
    "duckdb",
    "polars",
    "networkx",
    "jinja2",
    "rich",
)


@pytest.mark.parametrize(
    "code",
    [
        "import flowmine",
        "import flowmine.cli.version, flowmine.cli.completion, flowmine.cli.plugin",
        "from flowmine.cli import main; main(['--help'], standalone_mode=False)",
        "from flowmine.cli import main; main(['version'], standalone_mode=False)",
        "from flowmine.cli import main; main(['completion', 'bash'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    """Importing flowmine, its help and the commands that tell of itself load none of the large libraries."""
    tail = f"import sys; print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tail}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (0, "[]") == (done.returncode, done.stderr.strip().splitlines()[-1])
