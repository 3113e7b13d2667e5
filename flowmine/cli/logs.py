"""Logs: ``-v`` and ``--log-format`` of every command; on stderr, one record a line, and nothing unless asked for.

| given             | told                                                                                     |
|-------------------|------------------------------------------------------------------------------------------|
| nothing           | the closing summary and errors, as ever                                                  |
| -v                | each thing skipped, with its file:line and why; what was lost, cut, left out or written  |
| -vv               | also decisions: formats recognised, processes used, connections made; errors in full     |
| --log-format json | whatever goes to stderr, the summary and errors too, as one JSON object a line; no bars  |
"""

import io
import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import click

__all__ = ["LIMIT", "SPAN", "JsonLines", "Limit", "add_options", "end", "say_error", "show", "tell_cause"]

LIMIT, SPAN = 1000, 60.0
"""How many records of one kind are told in so many seconds; the others are counted."""

_LOGGER = "flowmine"
_USERINFO = re.compile(r"(\w://)[^/\s@]+@")
_META = "flowmine.logs"
_active: list[Callable[[], None]] = []


class Limit(logging.Filter):
    """Lets no more than `LIMIT` records of one kind (one message before its values are put in) pass in `SPAN` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count by a clock, in seconds."""
        super().__init__()
        self._clock = clock
        self._since: dict[str, float] = {}
        self._passed: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record passes; the first after a pause says how many did not."""
        kind, now = str(record.msg), self._clock()
        if now - self._since.setdefault(kind, now) >= SPAN:
            if (more := self._passed[kind] - LIMIT) > 0:
                record.msg = f"{record.msg} ({more:,} more like it were left out)"
            self._since[kind], self._passed[kind] = now, 0
        self._passed[kind] = self._passed.get(kind, 0) + 1
        return self._passed[kind] <= LIMIT

    def left_out(self) -> list[str]:
        """Return a sentence for each kind of which records were left out and not told of yet."""
        return [
            f"{count - LIMIT:,} more like “{kind}” were left out of the log; the summary counts them all"
            for kind, count in self._passed.items()
            if count > LIMIT
        ]


class JsonLines(io.TextIOBase):
    """A text stream that writes each line as a JSON object; itself no terminal, so that nothing draws on it."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream."""
        super().__init__()
        self.stream, self._rest = stream, ""

    def write(self, text: str) -> int:
        """Write whole lines; keep the rest until its end comes."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self.put("info", _LOGGER, line)
        return len(text)

    def flush(self) -> None:
        """Flush what is written."""
        self.stream.flush()

    def finish(self) -> None:
        """Write what has no line end."""
        if self._rest:
            self.write("\n")

    def put(self, level: str, logger: str, message: str, **fields: Any) -> None:
        """Write one object."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = {"time": at, "level": level, "logger": logger, "message": message, **fields}
        self.stream.write(json.dumps(told, ensure_ascii=True) + "\n")


class _Handler(logging.Handler):
    """Writes to whatever stderr is at the moment; a progress bar takes its place while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            message = _without_secrets(message)
            if isinstance(sys.stderr, JsonLines):
                fields = getattr(record, "told", {})
                sys.stderr.put(record.levelname.lower(), record.name, message, **fields)
            else:
                at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
                told = f"{at[:-6]}Z {record.levelname.lower()} {record.name}: {_plain(message)}\n"
                sys.stderr.write(told)
        except (
            Exception
        ):  # a log that cannot be written ends no work; a pipe that is closed is told of elsewhere
            return


def add_options(command: click.Command) -> None:
    """Give a command ``-v`` and ``--log-format``, once."""
    if not any(param.name == "log_format" for param in command.params):
        command.params.extend(_options())


def _options() -> list[click.Option]:
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            is_eager=True,
            callback=lambda ctx, _, value: _set(ctx, "verbosity", value),
            help="Log what is skipped, with file:line and why; -vv: decisions too.",
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(["text", "json"]),
            default="text",
            expose_value=False,
            is_eager=True,
            callback=lambda ctx, _, value: _set(ctx, "form", value),
            help="How stderr is written: for people (default), or JSON lines.",
        ),
    ]


def _set(ctx: click.Context, name: str, value: Any) -> None:
    chosen = ctx.meta.setdefault(_META, {"verbosity": 0, "form": "text"})
    chosen[name] = value
    if ctx.resilient_parsing:
        return
    end()
    if chosen["form"] == "json":
        _write_json()
    if chosen["verbosity"]:
        _log(logging.INFO if chosen["verbosity"] == 1 else logging.DEBUG)


def _log(level: int) -> None:
    logger, handler, limit = logging.getLogger(_LOGGER), _Handler(), Limit()
    handler.addFilter(limit)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)

    def undo() -> None:
        for sentence in limit.left_out():
            handler.emit(logging.LogRecord(_LOGGER, logging.INFO, "", 0, sentence, None, None))
        logger.removeHandler(handler)
        logger.setLevel(before)

    _active.append(undo)


def _write_json() -> None:
    before = sys.stderr
    lines = JsonLines(before)
    sys.stderr = lines

    def undo() -> None:
        lines.finish()
        if sys.stderr is lines:
            sys.stderr = before

    _active.append(undo)


def end() -> None:
    """Write logs no more."""
    while _active:
        _active.pop()()


def say_error(text: str) -> None:
    """Tell an error on stderr, in one line."""
    line = _without_secrets(" ".join(text.splitlines()))
    if isinstance(sys.stderr, JsonLines):
        sys.stderr.put("error", _LOGGER, line)
    else:
        click.echo(f"flowmine: {line}", err=True)


def show(error: click.ClickException) -> None:
    """Tell what is wrong with a line: as click does, or in one object."""
    if isinstance(sys.stderr, JsonLines):
        say_error(error.format_message())
    else:
        error.show()


def tell_cause(error: BaseException) -> None:
    """Log where an error came from, for those who asked for everything."""
    logger = logging.getLogger(_LOGGER)
    each: BaseException | None = error if logger.isEnabledFor(logging.DEBUG) else None
    while each is not None:  # without the words of libraries: they quote files, which may hold passwords
        frames = traceback.extract_tb(each.__traceback__)
        way = "".join(f"\n{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        logger.debug("%s came by this way:%s", type(each).__name__, way)
        each = each.__cause__ or each.__context__


def _without_secrets(text: str) -> str:
    """Return a text without the name and password that addresses in it hold (``https://name:password@host``)."""
    return _USERINFO.sub(r"\1", text)


def _plain(text: str) -> str:
    """Return a text as one line that a terminal shows and does not obey: a traceback keeps its lines."""
    return "".join(
        letter if letter == "\n" or letter.isprintable() else repr(letter)[1:-1] for letter in text
    ).replace("\n", "\n  ")
