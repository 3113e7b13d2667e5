"""The file of `--known`: whatever is wrong with it is told with its name."""

from pathlib import Path

import pytest

from flowmine.cli.knownfile import read_known
from flowmine.errors import InputError


@pytest.mark.parametrize(
    "text", ["x: [", "x: 2021-99-99", "[" * 5000, "a: &a [x]\nb: [*a, *a]", "- x", "x: 1.2.3.4/99"]
)
def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    """No YAML, values that YAML cannot make, nesting without end, lists in lists: one error each."""
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"known\.yaml"):
        read_known(path)
