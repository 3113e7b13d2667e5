"""`flowmine help` and the pages it shows."""

import re
from dataclasses import fields
from pathlib import Path

from click.testing import CliRunner

from flowmine.cli import main
from flowmine.cli.help import topics
from flowmine.synth.options import Options, thresholds

PAGE = Path(__file__).parents[2] / "flowmine" / "docs" / "options.md"


def _table(rows: list[tuple[object, ...]], head: tuple[str, ...]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def generated(text: str) -> str:
    """Return the page with its tables made anew from `Options`."""
    limits = _table(
        [(f"`{t.name}`", t.default, t.exact, t.why) for t in thresholds()],
        ("name", "default", "exact", "why"),
    )
    names = {t.name for t in thresholds()}
    others = [f for f in fields(Options) if f.name not in names and isinstance(f.default, int | float)]
    choices = _table(
        [(f"`{f.name}`", f.default, f.metadata["why"]) for f in others], ("name", "default", "why")
    )
    for mark, table in (("table", limits), ("choices", choices)):
        text = re.sub(
            f"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m, t=table: f"{m[1]}{t}\n{m[2]}", text, flags=re.S
        )
    return text


def test_options_page_cannot_drift(update_goldens: bool) -> None:
    """The table of thresholds is the one in the code: name, default, value under --exact, reason."""
    text = PAGE.read_text(encoding="utf-8")
    if update_goldens:
        PAGE.write_text(generated(text), encoding="utf-8")
    assert generated(text) == PAGE.read_text(encoding="utf-8")


def test_topics_are_listed_and_shown() -> None:
    """Without a topic the pages are listed; with one its text is printed; a wrong one names them."""
    runner = CliRunner()
    listed = runner.invoke(main, ["help"]).output
    assert set(topics()) == {line.split()[0] for line in listed.splitlines()}
    assert topics()["options"] == runner.invoke(main, ["help", "options"]).output
    wrong = runner.invoke(main, ["help", "nonsense"])
    assert (2, True) == (wrong.exit_code, "the topics are" in wrong.output)
