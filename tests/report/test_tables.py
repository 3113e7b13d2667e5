"""Tables as text: alignment, what gives way on a narrow screen, and what a capture may not do to a reader."""

import csv
import io

import pytest

from flowmine.report.tables import Column, Table, clean, csv_text, fitted, plain_lines

TABLE = Table(
    (Column("from"), Column("events", number=True, spare=1), Column("why", spare=2)),
    (("shop/web", "7", "POLICY_DENIED"), ("a", "12345", "")),
)


def test_columns_align_and_lines_end_where_the_text_does() -> None:
    """Texts align left and numbers right, headings are in capitals, no line ends in blanks."""
    assert list(plain_lines(TABLE)) == [
        "FROM      EVENTS  WHY",
        "shop/web       7  POLICY_DENIED",
        "a          12345",
    ]


@pytest.mark.parametrize(
    ("width", "headings"),
    [(80, ["from", "events", "why"]), (35, ["from", "events"]), (20, ["from", "events"]), (5, ["from"])],
)
def test_spare_columns_give_way_the_most_spare_first(width: int, headings: list[str]) -> None:
    """As many columns go as it takes, those that never go apart."""
    shown = fitted(TABLE, width)
    assert [column.heading for column in shown.columns] == headings
    assert {len(row) for row in shown.rows} == {len(headings)}


def test_a_row_must_be_as_wide_as_the_columns() -> None:
    """A cell too many is the programmer's mistake, and said at once."""
    with pytest.raises(ValueError, match="2 cells under 1 columns"):
        Table((Column("a"),), (("1", "2"),))


def test_control_characters_are_shown() -> None:
    """An escape sequence from a capture never reaches a terminal."""
    table = Table((Column("a"),), (("\x1b[2J\r\n\x9b",),))
    assert list(plain_lines(table)) == ["A", "\\x1b[2J\\x0d\\x0a\\x9b"]
    assert clean("é✓") == "é✓"


def test_csv_keeps_values_and_disarms_formulas() -> None:
    """CSV reads back as written; a text that a spreadsheet would run is quoted, None is empty."""
    text = csv_text(["a", "b"], [['x,"y"\n', 7], ["=1+1", None], ["-1", "@x"]])
    assert list(csv.reader(io.StringIO(text))) == [
        ["a", "b"],
        ['x,"y"\n', "7"],
        ["'=1+1", ""],
        ["'-1", "'@x"],
    ]
