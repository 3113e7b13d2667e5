"""The bar that notebooks show while a capture is read."""

from typing import Any

from flowmine.ingest import Progress
from flowmine.notebook.progress import Bar, bar_html, shown_progress


def test_nothing_is_shown_outside_of_notebooks() -> None:
    """Scripts, tests and terminals get no bar."""
    with shown_progress("a capture") as feed:
        assert feed is None


def test_a_bar_waits_half_a_second_and_leaves_nothing() -> None:
    """What is quick shows nothing; what is not is written over now and then, and emptied at the end."""
    now, written = [0.0], list[tuple[str, Any]]()

    def show(html: str, handle: Any) -> str:
        written.append((html, handle))
        return "the display"

    bar = Bar("a capture", show, lambda: now[0])
    for now[0] in (0.1, 0.4, 0.6, 0.7, 0.9):
        bar.feed(Progress(50, 100, 1000))
    bar.close()
    assert [None, "the display", "the display"] == [handle for _, handle in written]
    assert ["1,000 flows, 1,667 a second", "1,000 flows, 1,111 a second", ""] == [
        html.rpartition(": ")[2] for html, _ in written
    ]
    quick = Bar("a capture", show, lambda: 0.0)
    quick.feed(Progress(50, 100, 1000))
    quick.close()
    assert 3 == len(written)


def test_a_bar_names_what_is_read_and_runs_nothing_of_it() -> None:
    """A file may be called anything; without a total the bar only moves."""
    html = bar_html("<script>", Progress(50, None, 3), 0.0)
    assert "<progress></progress> &lt;script&gt;: 3 flows" == html
    assert '<progress value="50" max="100">' in bar_html("x", Progress(50, 100, 3), 1.0)
