"""A progress bar on stderr while a capture is read: bytes, flows a second, time left; only where a person looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmine.ingest import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(quiet: bool) -> Iterator["Callable[[Progress], None] | None"]:
    """Show a bar within the block, and yield what feeds it; None where stderr is no terminal or quiet was asked for."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(binary_units=False),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None, rate="")

        def feed(progress: "Progress") -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{progress.flows / elapsed:,.0f} flows/s" if elapsed else ""
            bar.update(task, completed=progress.read, total=progress.total, rate=rate)

        yield feed
