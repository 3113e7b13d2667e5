"""Comments of pull requests: what is gravest first, never too long, and hostile text means itself in them."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flowmine.report.comment import LIMIT, Part, bullets, clipped, comment, rows
from flowmine.report.marks import code, escaped, in_html
from flowmine.report.tables import Column, Table

HOSTILE = (
    "a|b",
    "`x` ``y``",
    "</details></summary><script>alert(1)</script>",
    "[x](javascript:alert(1)) ![i](http://e.example/i.png)",
    "<!-- hidden",
    "**bold** _it_ ~~no~~",
    "\\| \\",
    "a\r\n\n## heading\n- point\n```",
    "&lt;b&gt; &#8203;",
    "‮evil\x00\x1b[31m",
)
LINKS = ("@admin", "closes #12", "https://e.example/x", "www.e.example", "x@e.example")
COLUMNS = (Column("from"), Column("flows", number=True), Column("to"))
RENDER = MarkdownIt("commonmark").enable("table").render


class Seen(HTMLParser):
    """What a browser would see: the tags in order, and the text of each table cell and summary."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.comments: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Note a tag."""
        self.tags.append(tag)
        if tag in ("td", "summary", "li"):
            self.texts.append("")
            self.inside = True

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self.inside:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Note where a text ends."""
        self.inside = self.inside and tag not in ("td", "summary", "li")

    def handle_comment(self, data: str) -> None:
        """Note what is hidden."""
        self.comments.append(data)


def plain(text: str) -> str:
    """The text as it may be shown: one line, printable, without spaces of no width."""
    shown = "".join(char if char.isprintable() else " " for char in text.replace("\u200b", ""))
    return " ".join(shown.split())


def lines_of(*parts: Part, facts: tuple[str, ...] = ("one fact",), limit: int = LIMIT) -> list[str]:
    return list(comment("flowmine test", facts, parts, "-o json has all of it.", limit))


def table(*texts: str) -> Table:
    return Table(COLUMNS, tuple((text, "1", text) for text in texts))


@pytest.mark.parametrize("text", [*HOSTILE, *LINKS])
def test_hostile_text_means_itself(text: str) -> None:
    """In a cell, a point, a fact and a folded title the text is shown as it is, and makes no tag of its own."""
    made = lines_of(
        rows(text, table(text)), rows(text, table(text), 0), bullets("x", [code(text)]), facts=(text,)
    )
    seen = Seen(RENDER("\n".join(made)))
    tags = {
        "h2",
        "h3",
        "p",
        "br",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "ul",
        "li",
        "code",
    }
    assert ([], set()) == (seen.comments, set(seen.tags) - tags)
    assert (2, 3 * 2, 2) == (seen.tags.count("table"), seen.tags.count("td"), seen.tags.count("details"))
    cells = [plain(cell) for cell in seen.texts]
    coded = plain(text).replace("`", "ʼ").replace("|", "¦")
    row = [plain(text), "1", plain(text)]
    assert [*row, f"{plain(text)}: 1", *row, "x: 1", coded] == cells


@pytest.mark.parametrize("text", LINKS)
def test_text_notifies_and_links_nobody(text: str) -> None:
    """Mentions, issue references and addresses are broken for what makes links of them."""
    for made in (escaped(text), in_html(text)):
        assert not re.search(r"@\w|#\d", made)
    assert not re.search(r"https?://|www\.", escaped(text))


@given(st.lists(st.text(max_size=3000), max_size=60), st.integers(0, 3), st.integers(1500, 9000))
def test_a_comment_always_fits(texts: list[str], shown: int, limit: int) -> None:
    """Whatever it is to hold, it has no more bytes than asked for, and no table or fold is left open."""
    made = lines_of(
        rows("rows", table(*texts), shown), bullets("points", map(escaped, texts), shown), limit=limit
    )
    text = "".join(f"{line}\n" for line in made)
    assert len(text.encode("utf-8", "backslashreplace")) <= limit
    assert made.count("</details>") == sum(line.startswith("<details>") for line in made)


def test_what_is_cut_is_told() -> None:
    """Of too many rows the first are shown, and how many of how many, with where all of them are."""
    made = lines_of(
        rows("graver", table(*map(str, range(40)))), rows("lesser", table(*map(str, range(50_000))))
    )
    text = "\n".join(made)
    (told,) = re.findall(
        r"\*\*Cut to what fits into a comment\.\*\* lesser: ([\d,]+) of 50,000 shown\. -o json has all", text
    )
    count = int(told.replace(",", ""))
    numbers = [int(found) for found in re.findall(r"^\| (\d+) \| 1 \|", text, re.M)]
    assert [*range(40), *range(count)] == numbers
    assert LIMIT * 0.95 < len(text.encode()) <= LIMIT


def test_what_comes_first_is_kept_whole() -> None:
    """A part that is graver is not cut for one that follows, and one without room for anything is told of."""
    made = "\n".join(lines_of(rows("graver", table(*map(str, range(30_000)))), rows("lesser", table("x"))))
    assert "lesser: 0 of 1 shown" in made
    assert "### lesser" not in made


def test_a_short_comment_is_whole() -> None:
    """Where all fits nothing is said of cutting; the first rows stand open, the others are folded."""
    made = lines_of(rows("rows", table("a", "b", "c"), 2))
    assert ["## flowmine test", "", "one fact  ", "", "### rows", ""] == made[:6]
    assert "<details><summary>1 more: rows</summary>" in made
    assert not any("Cut" in line for line in made)
    assert 2 == sum(line.startswith("| from |") for line in made)


def test_a_long_text_is_clipped() -> None:
    """One endless name takes no room from the others."""
    assert ("ab", "a…") == (clipped("ab", 2), clipped("abc", 2))
    made = "\n".join(lines_of(rows("rows", table("x" * 100_000, "short"))))
    assert ("| short |" in made, len(made) < 2000) == (True, True)
