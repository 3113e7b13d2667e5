"""Every command is explained on a page, and by an example that runs; what examples name exists."""

import re

import pytest
from click.testing import CliRunner

from flowmine.cli import COMMANDS, main
from flowmine.cli.help import topics
from tests.docs.places import ROOT
from tests.docs.reference import options
from tests.docs.sessions import blocks

CLICKED = {"ui"}
"""Commands whose example is clicked through by tests/browser."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_page(name: str) -> None:
    """`flowmine help COMMAND` shows the page that is about it, and the page names it."""
    shown = CliRunner().invoke(main, ["help", name])
    assert (0, True) == (shown.exit_code, f"flowmine {name}" in shown.output)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in CLICKED])
def test_a_command_has_an_example_that_runs(name: str) -> None:
    """Some page, or the README, holds a session with the command; that what it shows is true other tests hold."""
    pages = [*topics().values(), (ROOT / "README.md").read_text(encoding="utf-8")]
    run = [
        line for page in pages for block in blocks(page) if block.kind == "console" for line in block.commands
    ]
    assert [] != [line for line in run if re.search(rf"\bflowmine {name}\b", line)]


def test_pages_name_only_topics_that_exist() -> None:
    """Where a page says `flowmine help TOPIC`, there is such a topic."""
    pages = {**topics(), "README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    named = {
        (name, topic)
        for name, page in pages.items()
        for topic in re.findall(r"flowmine help ([a-z][\w-]*)", page)
    }
    runner = CliRunner()
    assert [] == sorted(
        (name, topic) for name, topic in named if runner.invoke(main, ["help", topic]).exit_code
    )


def test_no_option_of_an_example_is_misspelt() -> None:
    """Every option that a shown command line gives to flowmine is one of that command's."""
    wrong = []
    for page in (*topics().values(), (ROOT / "README.md").read_text(encoding="utf-8")):
        for name, line in re.findall(r"(?<!kubectl )flowmine ([a-z]+)([^|&>\n]*)", "\n".join(_lines(page))):
            if name in COMMANDS:
                known = {opt for option in options(name) for opt in (*option.opts, *option.secondary_opts)}
                given = set(re.findall(r"(?<=\s)(--[a-z][\w-]*)", line))
                wrong += [(name, option) for option in given - known - {"--help"}]
    assert [] == wrong


def _lines(page: str) -> list[str]:
    """Return the command lines in sessions and in blocks that are not run."""
    shown = [block for block in blocks(page) if block.kind in ("console", "sh")]
    return [line for block in shown for line in block.text.replace("\\\n", " ").splitlines()]
