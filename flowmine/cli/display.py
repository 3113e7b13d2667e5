"""Where a command's data goes: stdout for people or for pipes, or a path, written beside and renamed."""

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowmine.errors import InputError, UsageError
from flowmine.outputs import write_whole

if TYPE_CHECKING:
    from flowmine.report.ci import Report
    from flowmine.report.tables import Table

__all__ = ["show_table", "write_bytes", "write_checks", "write_lines", "write_text"]


def show_table(table: "Table", out: Path | None) -> None:
    """Show a table: drawn where a person looks, aligned text in a pipe or a file."""
    from flowmine.report.tables import plain_lines

    if out is None and sys.stdout.isatty():
        _draw(table)
    else:
        write_lines(plain_lines(table), out)


def write_lines(lines: Iterable[str], out: Path | None) -> None:
    """Write lines of text to stdout as they come, or to a path."""
    if out is None:
        stdout = sys.stdout
        for line in lines:
            stdout.write(line + "\n")
    else:
        text = io.BytesIO()  # the whole as one text, and as bytes, would take twice as much
        for line in lines:
            text.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        write_bytes(text.getbuffer(), out)


def write_text(text: str, out: Path | None) -> None:
    """Write a text as it is, with one line end after it."""
    write_lines((text.removesuffix("\n"),), out)


def write_checks(report: "Report", output: str, out: Path | None) -> None:
    """Write what a check found as ``sarif`` or ``junit``."""
    from flowmine.report import ci

    if output == "junit":
        write_lines(ci.junit_lines(report), out)
    else:
        write_text(ci.as_sarif(report), out)


def write_bytes(data: bytes | memoryview, out: Path | None) -> None:
    """Write bytes to stdout, or to a path: beside it first, then renamed.

    Raise UsageError where a terminal would get them, InputError where the path cannot be written.
    """
    if out is None:
        if sys.stdout.isatty():
            raise UsageError("this format is not for terminals: give -d PATH, or a pipe")
        sys.stdout.buffer.write(data)
        return
    try:
        write_whole(out, data)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from error


def _draw(table: "Table") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    from flowmine.report.tables import clean, fitted

    console = Console()
    shown = fitted(table, console.width)
    hidden = [column.heading for column in table.columns if column not in shown.columns]
    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in shown.columns:
        drawn.add_column(Text(column.heading), justify="right" if column.number else "left", overflow="fold")
    for row in shown.rows:
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    console.print(drawn)
    if hidden:
        click.echo(f"not shown for lack of room: {', '.join(hidden)}", err=True)
