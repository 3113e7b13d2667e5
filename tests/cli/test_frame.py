"""The frame of the command line: what is listed, what becomes of errors, pipes, Ctrl-C and odd locales."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import flowmine
from flowmine.cli import COMMANDS, CommandTable, main
from flowmine.errors import InputError
from tests.cli.events import capture, record

HEAVY = {"pyarrow", "pandas", "numpy", "msgspec", "rich", "grpc", "yaml", "re2"}


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a process."""
    command = [sys.executable, "-m", "flowmine", *args]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, timeout=60)


def failing(error: BaseException) -> CommandTable:
    """A command line whose one command raises an error."""

    @click.command()
    def fail() -> None:
        raise error

    class Table(CommandTable):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fail

    return Table("flowmine", table={"fail": ("", "")})


def test_help_lists_every_command_and_imports_none() -> None:
    """--help is the table, and asks nothing heavy of the interpreter."""
    script = "import sys; from flowmine.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    helped, _, modules = result.stdout.rstrip().rpartition("\n")
    words = " ".join(helped.split())
    assert [name for name, (_, line) in COMMANDS.items() if f" {name} {line}" in words] == list(COMMANDS)
    assert set(modules.split()) & HEAVY == set()


def test_a_capture_of_json_needs_no_reader_of_text_no_filters_and_no_settings(tmp_path: Path) -> None:
    """What a line does not ask for is not imported: it would be, before anything is read."""
    path = capture(tmp_path / "flows.jsonl", record(1))
    script = "import sys; from flowmine.cli import main; main(['edges', sys.argv[1]], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=True
    )
    modules = done.stdout.splitlines()[-1].split()
    unused = ("flowmine.ingest.text", "flowmine.ingest.filters.", "yaml", "re2", "grpc")
    asked = [
        name for name in modules if name.startswith(unused) and name != "flowmine.ingest.filters.selection"
    ]
    assert asked == []


def test_a_command_makes_arrays_without_pandas_and_groups_tables_without_datasets(tmp_path: Path) -> None:
    """pyarrow imports both by itself, and needs neither."""
    path = capture(tmp_path / "flows.jsonl", record(1))
    script = (
        "import sys; from flowmine.arrow import for_commands; for_commands(); from flowmine.cli import main; "
        "main(['edges', sys.argv[1]], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=True
    )
    modules = done.stdout.splitlines()[-1].split()
    assert {"pyarrow.acero", "pandas", "pyarrow.dataset"}.intersection(modules) == {"pyarrow.acero"}


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_told(option: str) -> None:
    """--version says which flowmine this is."""
    assert CliRunner().invoke(main, [option]).output == f"flowmine {flowmine.__version__}\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    """A name that the table does not hold is refused with exit 2."""
    result = CliRunner().invoke(main, ["nosuch"])
    assert (result.exit_code, "No such command 'nosuch'" in result.output) == (2, True)


def test_an_error_for_the_user_is_one_line_and_exit_2() -> None:
    """A FlowmineError is one line on stderr, whatever line ends its message holds."""
    result = CliRunner().invoke(failing(InputError("a.jsonl:3: bad\nline")), ["fail"])
    assert (result.exit_code, result.stderr, result.stdout) == (2, "flowmine: a.jsonl:3: bad line\n", "")


def test_a_bug_keeps_its_traceback() -> None:
    """Any other error is told whole, and its exit code is not that of findings."""
    for error in (KeyError("x"), OSError(errno.EBADF, "x")):
        result = CliRunner().invoke(failing(error), ["fail"])
        told = (result.exit_code, "Traceback" in result.stderr, type(error).__name__ in result.stderr)
        assert told == (70, True, True)


def test_an_interruption_is_one_line_and_exit_130() -> None:
    """Ctrl-C ends with the shell's own code and no traceback."""
    result = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, result.stderr.strip()) == (130, "flowmine: interrupted")


def test_a_code_that_a_command_returns_is_the_exit_code() -> None:
    """A command says with a number whether it found something."""

    @click.command()
    def find() -> int:
        return 1

    class Table(CommandTable):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return find

    assert CliRunner().invoke(Table("flowmine", table={"find": ("", "")}), ["find"]).exit_code == 1


@pytest.fixture(scope="module")
def long_capture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A capture whose lines do not fit into a pipe."""
    records = [record(0, Summary="é" * 200, uuid=f"{n}") for n in range(3000)]
    yield capture(tmp_path_factory.mktemp("long") / "flows.jsonl", *records)


def test_a_reader_that_leaves_is_no_error(long_capture: str) -> None:
    """`| head` closes quietly: no traceback, and the code of a process that its pipe ended."""
    command = [sys.executable, "-m", "flowmine", "flows", long_capture]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        code = process.wait(60)
    assert first.startswith(b"Nov 18 09:30:00.500: shop/web-")
    assert (code, stderr) == (141, b"")


def test_output_is_utf8_whatever_the_locale(long_capture: str) -> None:
    """With LANG=C names are written as UTF-8."""
    result = run(
        "flows", "--first", "1", long_capture, LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert (result.returncode, "é" * 200 in result.stdout.decode("utf-8")) == (0, True)


def test_a_missing_file_is_told_in_one_line(tmp_path: Path) -> None:
    """What cannot be opened is named, without a traceback."""
    result = run("flows", str(tmp_path / "nosuch.jsonl"))
    lines = result.stderr.decode().splitlines()
    assert (result.returncode, len(lines), lines[0].startswith("flowmine: ")) == (2, 1, True)
    assert "nosuch.jsonl" in lines[0]


def test_a_full_disk_is_told_in_one_line(long_capture: str) -> None:
    """Where stdout cannot take the data, that is one line and exit 2."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = [sys.executable, "-m", "flowmine", "flows", "-q", long_capture]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    expected = (
        "flowmine: the output cannot be written: No space left on device; make room, or write elsewhere\n"
    )
    assert (result.returncode, result.stderr.decode()) == (2, expected)


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_no_bug(long_capture: str, closed: int) -> None:
    """With `>&-` or `2>&-` the other stream gets what it always gets."""
    command = f'"$0" -m flowmine edges "$1" -o csv {closed}>&-'
    whole = run("edges", long_capture, "-o", "csv")
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, long_capture], capture_output=True, timeout=60, check=False
    )
    expected = (0, b"", whole.stderr) if closed == 1 else (0, whole.stdout, b"")
    assert (result.returncode, result.stdout, result.stderr) == expected


@pytest.mark.parametrize("command", [["recommend"], ["edges"], ["visibility", "-n", "shop"], ["drops"]])
def test_the_summary_closes(long_capture: str, command: list[str]) -> None:
    """Where data and talk go to one place, the summary stands below the data."""
    line = [sys.executable, "-m", "flowmine", *command, long_capture]
    result = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    data = subprocess.run([*line, "-q"], stdout=subprocess.PIPE, timeout=60, check=False).stdout
    assert (data in result.stdout, result.stdout.startswith(data)) == (True, True)
