"""The measured tables of README.md have a command each, and it can be run."""

import importlib.util
import shlex

from tests.docs.figures import marks, table, written
from tests.docs.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_each_table_names_a_command_that_exists() -> None:
    """What is measured is measured by a module of the project."""
    modules = [shlex.split(command)[2] for command in marks(README).values()]
    assert "tests.bench" in modules
    assert [] == [module for module in modules if importlib.util.find_spec(module) is None]


def test_only_the_table_that_was_measured_changes() -> None:
    """What a command prints takes the place of what stood between its marks, and of nothing else."""
    page = "a\n<!-- one: x -->\nold\n<!-- end -->\nb\n<!-- two: y -->\nkept\n<!-- end -->\n"
    assert page.replace("old", "new") == written(page, "one", "new\n\n")
    assert page == written(page, "three", "new")


def test_only_the_table_is_taken() -> None:
    """What a command says beside its table stays on the terminal."""
    assert "| a |\n|---|\n| 1 |" == table("2 cores\n| a |\n|---|\n| 1 |\ndone\n")
    assert "no table\n" == table("no table\n")
