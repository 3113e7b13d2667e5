"""The page on notebooks that comes with the package: every example in it runs."""

import re
from pathlib import Path

import pytest

from flowmine.cli.help import topics

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n(.*?)```", re.S)


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, in a clone's root, and what they name is there."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", "/nonexistent")
    names: dict[str, object] = {}
    for block in BLOCK.findall(topics()["notebook"]):
        exec(compile(block, "notebook.md", "exec"), names)
    assert {"frame", "drops", "found", "tried", "why", "picture", "tail", "policies"} <= names.keys()


def test_what_the_page_names_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods and attributes in its text are those of the objects that it calls by these names."""
    monkeypatch.chdir(ROOT)
    text = topics()["notebook"]
    names: dict[str, object] = {}
    exec("\n".join(BLOCK.findall(text)[:2]), names)
    said = re.findall(r"`(flows|drops|found|tried|edges|answer)\.(\w+)", text)
    assert len(said) > 8
    answers = {**names, "answer": names["edges"]}
    assert [] == [f"{name}.{part}" for name, part in said if not hasattr(answers[name], part)]
