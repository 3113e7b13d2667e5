"""What README.md shows is real: each command is run, and prints what stands there; Python blocks run too."""

import re

import pytest

from tests.docs.places import ROOT
from tests.docs.sessions import blocks, differences, opened, rewritten

README = ROOT / "README.md"


def test_sessions_are_real(tmp_path_factory: pytest.TempPathFactory, update_goldens: bool) -> None:
    """Every console block of the README prints, command by command, what stands there, and its Python runs."""
    text = README.read_text(encoding="utf-8")
    with opened(tmp_path_factory.mktemp("readme")) as shell:
        made = rewritten(text, shell)
        done = shell.script("\n".join(block.text for block in blocks(text) if block.kind == "python"))
    if update_goldens:
        README.write_text(made, encoding="utf-8")
    assert [] == differences(README.read_text(encoding="utf-8"), made)
    assert (0, "") == (done.returncode, done.stderr)


def test_first_commands_are_the_ones_promised() -> None:
    """The two commands that a newcomer runs stand in the README as they are."""
    text = README.read_text(encoding="utf-8")
    assert (
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/flowmine recommend sample_flows/three-tier"
        in text
    )
    assert ".venv/bin/pip install -q '.[test]' && .venv/bin/pytest" in text


def test_links_lead_somewhere() -> None:
    """Every link of the README into the project names a file that is there."""
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert [] == [target for target in targets if not (ROOT / target).exists()]
    assert targets
