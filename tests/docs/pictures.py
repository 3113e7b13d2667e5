"""The pictures of README.md, each made by the project itself: `python -m tests.docs.pictures` draws them anew.

The drawings (map, live view) are made by a test too, and compared. The photographs (report, notebook) need Chromium and a
notebook kernel, and no two machines have the same fonts.
"""

import base64
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

from rich.console import Console

from flowmine.advise.inforce import in_force, own_cluster
from flowmine.cli.tailview import TailView
from flowmine.edges import COLUMNS
from flowmine.ingest import open_flows
from flowmine.ingest.filters import matcher
from flowmine.ingest.filters.line import selection_of
from flowmine.live.feed import Feed
from flowmine.live.tail import Clocks, Every, Tail
from flowmine.policy.files import load
from tests.docs.places import ROOT, free_port

__all__ = ["DRAWINGS", "FOLDER", "PHOTOGRAPHS"]

FOLDER = ROOT / "notebooks" / "img"
_SAMPLES = ROOT / "sample_flows"
_PAPER = ' style="background: #fff; color-scheme: light"'
_DROPPED = "#table tbody tr:has-text('default/backend'):has-text('example.com') button"
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.S)
_BATCH, _WIDE, _HIGH = 160, 110, 24
_EARLY = 20
_LAST = 1_795_031_900.0
"""When the sample ends, seconds since the epoch."""


def drawn_map() -> str:
    """Return the map of the homelab, on white paper, for a page may be dark around it."""
    with tempfile.TemporaryDirectory() as folder:
        drawing = Path(folder) / "map.svg"
        _report("linkding", drawing)
        return drawing.read_text("utf-8").replace("<svg", f"<svg{_PAPER}", 1) + "\n"


def live_view() -> str:
    """Return what `flowmine tail` shows on a terminal, with policies that were learned from the first hours."""
    sample = _SAMPLES / "empire"
    with tempfile.TemporaryDirectory() as folder:
        early = Path(folder) / "early.jsonl"
        with gzip.open(sample / "hubble-observe.json.gz", "rt", encoding="utf-8") as lines:
            early.write_text("".join(islice(lines, _EARLY)), encoding="utf-8")
        _flowmine("recommend", str(early), "-o", f"{folder}/policies")
        documents = load(f"{folder}/policies").documents
    kept = matcher(selection_of(["--namespace", "empire"]))
    seconds = count()
    tail = Tail(
        Feed(open_flows(str(sample), columns=COLUMNS, batch_rows=_BATCH, keep=kept)),
        Every(look=1.0),
        in_force=lambda edges: in_force(documents, cluster=own_cluster(edges)[0]),
        clocks=Clocks(lambda: float(next(seconds)), lambda: _LAST + next(seconds)),
    )
    screen = Console(
        record=True,
        file=io.StringIO(),
        width=_WIDE,
        height=_HIGH,
        force_terminal=True,
        color_system="truecolor",
    )
    view = TailView(("localhost:4245",), screen, lambda: float(next(seconds)))
    for tick in view.shown(tail.ticks()):
        last = tick
    screen.export_text()  # forget what was drawn until now
    screen.print(view.picture(last), "")
    drawing = screen.export_svg(title="flowmine tail --server localhost:4245 -n empire --policies policies")
    return _FONT.sub("", drawing).replace("Fira Code", "DejaVu Sans Mono")


def report_page() -> bytes:
    """Return a photograph of a report, a workload chosen."""
    with tempfile.TemporaryDirectory() as folder, _page() as page:
        file = Path(folder) / "report.html"
        _report("three-tier", file)
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]")
        page.get_by_label("default/backend", exact=True).click()
        shot: bytes = page.screenshot()
    return shot


def ui_page() -> bytes:
    """Return a photograph of the live page, a dropped connection added to the draft."""
    sample = _SAMPLES / "three-tier"
    command = [sys.executable, "-m", "flowmine", "ui", str(sample), "--policies", str(sample / "policies")]
    running = subprocess.Popen(
        [*command, "-q", "--no-browser", "--port", str(free_port())],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with _page() as page:
            told = running.stdout or ()
            page.goto(next(line.strip() for line in told if line.startswith("http://")))
            page.wait_for_selector("html[data-ready]")
            page.locator(_DROPPED).first.click()
            page.get_by_role("button", name="Add to draft").click()
            page.get_by_role("button", name="Under the draft").click()
            page.wait_for_timeout(1500)
            page.locator("#panel").get_by_role("button", name="Close").click()
            page.locator("#draft").scroll_into_view_if_needed()
            shot: bytes = page.screenshot()
    finally:
        running.terminate()
        running.wait(10)
    return shot


@contextmanager
def _page() -> Iterator[Any]:
    """Give a page of Chromium, which closes with the block."""
    from playwright.sync_api import sync_playwright

    binary = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


def notebook_plot() -> bytes:
    """Return the plot of the contacts seen for the first time, from the first notebook."""
    import nbformat
    from nbclient import NotebookClient

    path = ROOT / "notebooks" / "01-first-look.ipynb"
    book: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(book, timeout=300, kernel_name="python3", resources=where).execute(
        env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    cell = next(cell for cell in book.cells if "first_seen()" in cell.source)
    return base64.b64decode(next(out.data["image/png"] for out in cell.outputs if "data" in out))


def _report(sample: str, target: Path) -> None:
    """Write a report of a sample as `flowmine report` does."""
    folder = _SAMPLES / sample
    policies = str(folder / "policies")
    _flowmine("report", str(folder), "-o", str(target), "--policies", policies, "--title", sample)


def _flowmine(*args: str) -> None:
    command = [sys.executable, "-m", "flowmine", *args, "-q"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


DRAWINGS: Mapping[str, Callable[[], str]] = {"map.svg": drawn_map, "tail.svg": live_view}
PHOTOGRAPHS: Mapping[str, Callable[[], bytes]] = {
    "report.png": report_page,
    "ui.png": ui_page,
    "contacts.png": notebook_plot,
}


def main() -> None:
    """Draw all pictures, and say how large they are."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
    for name, take in PHOTOGRAPHS.items():
        (FOLDER / name).write_bytes(take())
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
