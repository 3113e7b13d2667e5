"""The examples in docstrings are true, wherever they stand."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from tests.docs.places import ROOT

PACKAGE = ROOT / "flowmine"
SHOWING = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", [_name(path) for path in SHOWING])
def test_examples_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of the module gives what it says, and there is one."""
    monkeypatch.chdir(ROOT)  # where sample_flows lies
    failed, tried = doctest.testmod(import_module(name))
    assert (0, True) == (failed, tried > 0)
