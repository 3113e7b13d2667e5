"""The command line's frame: one table of commands, imported only when used, and errors told in one line.

Data goes to stdout, talk to stderr. Exit codes are those of ``kubectl diff``: 0 nothing found, 1 findings, above 1 an
error (`flowmine.cli.exitcodes`; 130 when interrupted, 141 when who read stdout has gone).
"""

import errno
import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, TextIO

import click
from click.shell_completion import CompletionItem

from flowmine import __version__
from flowmine.cli.exitcodes import BUG, ERROR
from flowmine.cli.logs import add_options, end, say_error, show, tell_cause
from flowmine.cli.signals import broken_by, catching, ignore
from flowmine.errors import FlowmineError

__all__ = ["COMMANDS", "CommandTable", "main"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

COMMANDS: dict[str, tuple[str, str]] = {
    "recommend": (
        "flowmine.cli.recommend:recommend",
        "Write least-privilege policies for the workloads seen.",
    ),
    "visibility": (
        "flowmine.cli.visibility:visibility",
        "Write policies that make names and HTTP requests show, and deny nothing.",
    ),
    "tail": (
        "flowmine.cli.tail:tail",
        "Follow a live server: new edges, new drops, current recommendations.",
    ),
    "capture": (
        "flowmine.cli.capture:capture",
        "Record a live server, or captures, as Parquet that every command reads.",
    ),
    "flows": ("flowmine.cli.flows:flows", "Print the captured events themselves, as hubble observe would."),
    "edges": ("flowmine.cli.edges:edges", "Show who talked to whom, on which port, with what outcome."),
    "drops": (
        "flowmine.cli.drops:drops",
        "Explain what was dropped, and write the smallest change that admits it.",
    ),
    "simulate": (
        "flowmine.cli.simulate:simulate",
        "Judge recorded traffic by policies before they are applied.",
    ),
    "explain": (
        "flowmine.cli.explain:explain",
        "Show the traffic behind each rule, and the rule behind each connection.",
    ),
    "report": ("flowmine.cli.report:report", "Write one page to send: map, policies, drops, completeness."),
    "ui": ("flowmine.cli.ui:ui", "Look at traffic live in a browser, and draft policies by choosing flows."),
    "diff": ("flowmine.cli.diff:diff", "Compare two sets of policies by what they let through."),
    "verdict": ("flowmine.cli.verdict:verdict", "Judge traffic by a set of policies."),
    "trace": ("flowmine.cli.trace:trace", "Explain why policies allow or deny one connection."),
    "validate": ("flowmine.cli.validate:validate", "Check policies against Cilium's own limits."),
    "lint": ("flowmine.cli.lint:lint", "Find what policies say and do not mean."),
    "migrate": ("flowmine.cli.migrate:migrate", "Bring captures and state of an older version up to date."),
    "help": ("flowmine.cli.help:help_", "Show a page of the documentation."),
    "replay": ("flowmine.cli.replay:replay", "Serve a capture as hubble-relay would."),
    "doctor": ("flowmine.cli.doctor:doctor", "Check what is installed, and what server and cluster answer."),
    "completion": ("flowmine.cli.completion:completion", "Print the completion script of a shell."),
    "version": ("flowmine.cli.version:version", "Print versions: of flowmine, and of what it uses."),
}
"""Name of a command -> where it lives (``module:attribute``, imported on use) and its line in ``--help``."""


class CommandTable(click.Group):
    """A click group over a table like `COMMANDS`: listing costs no import, and an error is one line, exit 2."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        """Take the table beside click's own arguments; without one it is `COMMANDS`."""
        super().__init__(*args, **kwargs)
        self.table = COMMANDS if table is None else table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None where the table has no such name."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        add_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the table's own lines, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the table, importing none."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=line)
            for name, (_, line) in self.table.items()
            if name.startswith(incomplete)
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the command; a closed pipe leaves as what `_run` knows, before click makes an exit 1 of it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ClosedPipe from error

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; see `_run` for what becomes of errors."""
        _open_closed()
        _speak_utf8(sys.stdout, sys.stderr)
        if "_FLOWMINE_COMPLETE" in os.environ:
            import_module("flowmine.cli.completion").register()
        with catching():
            try:
                return _run(super().main, *args, **kwargs)
            finally:
                end()


class _ClosedPipe(Exception):
    """Who read stdout has gone."""


def _run(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call click's own main; a FlowmineError is one line and exit 2, a closed pipe is quiet, Ctrl-C exits 130.

    Anything else is a bug: its traceback, and a code that is no finding's. With ``standalone_mode=False`` all errors
    reach the caller.
    """
    if not kwargs.get("standalone_mode", True):
        return call(*args, **kwargs)
    try:
        return _exit_code(call(*args, **{**kwargs, "standalone_mode": False}))
    except FlowmineError as error:
        tell_cause(error)
        say_error(str(error))
        sys.exit(ERROR)
    except click.ClickException as error:
        show(error)
        sys.exit(max(ERROR, error.exit_code))
    except (click.Abort, KeyboardInterrupt):
        _broken_off()
    except (_ClosedPipe, BrokenPipeError):
        _drop_stdout()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno not in _FULL:
            _bug()
        _drop_stdout()
        say_error(f"the output cannot be written: {error.strerror}; make room, or write elsewhere")
        sys.exit(ERROR)
    except Exception:
        if broken_by():  # a library made another error of what the signal raised in it
            _broken_off()
        _bug()


def _broken_off() -> NoReturn:
    """Leave as the shell's own programs do when a signal ends them: quietly, and with its number."""
    ignore()
    number, word = broken_by() or (signal.SIGINT, "interrupted")
    with suppress(OSError):
        say_error(word)
    sys.exit(128 + number)


def _bug() -> NoReturn:
    """Leave with the traceback of what was raised; the interpreter's own code would be that of findings."""
    traceback.print_exc()
    sys.exit(BUG)


def _exit_code(result: Any) -> None:
    """Leave with the code that a command returned (None and nothing else means 0), stdout flushed."""
    sys.stdout.flush()
    sys.exit(result if isinstance(result, int) else 0)


def _drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain about the closed pipe."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, io.UnsupportedOperation):
        return


def _open_closed() -> None:
    """Point stdout and stderr at nothing where the shell closed them (`>&-`), so that writing to them is no bug."""
    if sys.stdout is None:
        sys.stdout = _nothing()
    if sys.stderr is None:
        sys.stderr = _nothing()


def _nothing() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _speak_utf8(*streams: TextIO) -> None:
    """Write UTF-8 whatever the locale says; what cannot be encoded (a lone surrogate) is escaped."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


@click.command(
    cls=CommandTable,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="flowmine", message="%(prog)s %(version)s")
def main() -> None:
    """Learn least-privilege CiliumNetworkPolicies from captured Hubble flows, and prove them.

    INPUT is a capture that hubble or Cilium's exporter wrote: a file, a folder, a glob pattern, or "-" for stdin.
    """
