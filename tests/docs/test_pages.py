"""The pages of `flowmine help`: what they show is what happens."""

from pathlib import Path

import pytest

from flowmine.ledger import EXPORTER_MASK
from tests.docs.places import ROOT
from tests.docs.sessions import blocks, differences, opened, rewritten

PAGES = sorted((ROOT / "flowmine" / "docs").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_shows_is_what_happens(path: Path, tmp_path: Path, update_goldens: bool) -> None:
    """Every session prints what stands there, and every block of Python runs, in the order of the page."""
    text = path.read_text(encoding="utf-8")
    with opened(tmp_path) as shell:
        made = rewritten(text, shell)
        script = "\n".join(block.text for block in blocks(text) if block.kind == "python")
        done = shell.script(script)
    if update_goldens:
        path.write_text(made, encoding="utf-8")
    assert [] == differences(path.read_text(encoding="utf-8"), made)
    assert (0, "") == (done.returncode, done.stderr)


def test_the_mask_to_use_is_the_one_in_the_code() -> None:
    """The field mask that is advised leaves out nothing that reading needs, and nothing more."""
    page = (ROOT / "flowmine" / "docs" / "default-deny.md").read_text(encoding="utf-8")
    (mask,) = (block.text for block in blocks(page) if block.text.startswith("  fieldMask: ["))
    assert EXPORTER_MASK == tuple(
        mask.partition("[")[2].strip(" ]\n").replace("\n", " ").replace(" ", "").split(",")
    )
