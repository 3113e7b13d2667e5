"""The pictures of README.md are what the project draws, all are shown there, and none is heavy."""

import re

import pytest

from tests.docs.pictures import DRAWINGS, FOLDER, PHOTOGRAPHS
from tests.docs.places import ROOT

_HEAVIEST = 300_000


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_what_is_drawn_now(name: str, update_goldens: bool) -> None:
    """The map and the live view are the same as when they were drawn."""
    made = DRAWINGS[name]()
    path = FOLDER / name
    if update_goldens:
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8")


def test_every_picture_is_shown_and_small() -> None:
    """README.md shows each picture that the project makes, no other, and none is above 300 kB."""
    shown = set(re.findall(r"\(notebooks/img/([\w.-]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {*DRAWINGS, *PHOTOGRAPHS} == shown
    assert {path.name for path in FOLDER.iterdir()} == shown
    assert [] == [path.name for path in FOLDER.iterdir() if path.stat().st_size > _HEAVIEST]
