"""The notebooks that teach: executed top to bottom, their own assertions held, nothing of a run kept in the files."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_three_to_read_one_after_the_other() -> None:
    """Their names begin with their place, and each but the last names the next."""
    names = [path.name for path in NOTEBOOKS]
    assert ["01-first-look.ipynb", "02-from-drops-to-policy.ipynb", "03-least-privilege.ipynb"] == names
    for path, following in zip(NOTEBOOKS, names[1:], strict=False):
        assert f"]({following})" in path.read_text("utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_output(path: Path) -> None:
    """What a run leaves behind is not committed: the same text gives the same bytes."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [([], None)] * len(cells) == [(cell.outputs, cell.execution_count) for cell in cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_assertions_hold(path: Path) -> None:
    """Every cell runs where the file stands, says nothing on stderr, and asserts something somewhere."""
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [] == [output.text for output in outputs if output.get("name") == "stderr"]
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert any(line.startswith("assert ") for cell in book.cells for line in cell.source.splitlines())
