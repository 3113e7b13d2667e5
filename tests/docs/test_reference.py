"""Every command and every option says what it does: in --help, and on the page that is made of it."""

import pytest

from flowmine.cli import COMMANDS
from tests.docs.places import ROOT
from tests.docs.reference import commands, options, reference

PAGE = ROOT / "flowmine" / "docs" / "reference.md"


def test_reference_cannot_drift(update_goldens: bool) -> None:
    """The page of all options is what the commands' own help says."""
    made = reference()
    if update_goldens:
        PAGE.write_text(made, encoding="utf-8")
    assert made == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_and_its_options_do(name: str) -> None:
    """The command's help begins with a sentence, and no option is without words."""
    assert (commands()[name].help or "").strip()
    assert [] == [option.opts for option in options(name) if not option.help]
