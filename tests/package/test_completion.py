"""Shell completion: the scripts that are printed are sourced by the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import COMMANDS, main
from flowmine.cli.completion import FilesToo

ROOT = Path(__file__).parents[2]

ASK = """
source <(flowmine completion bash)
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
compopt() {{ local IFS=' '; echo "compopt $*"; }}
_flowmine_completion flowmine
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `flowmine` is this checkout's."""
    script = tmp_path / "flowmine"
    script.write_text(
        f"#!{sys.executable}\nimport sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[0] = 'flowmine'\n"
        "from flowmine.cli import main; main()\n"
    )
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def completed(shell: dict[str, str], words: str) -> list[str]:
    """Return what bash is offered for the words of a line, the last one unfinished."""
    done = subprocess.run(
        ["bash", "-c", ASK.format(words=words)], env=shell, capture_output=True, text=True, check=True
    )
    assert "" == done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("flowmine reco", ["recommend"]),
        ("flowmine recommend --per ''", ["workload", "namespace", "flow"]),
        ("flowmine recommend --inc", ["--include-system", "--include-dropped", "--include-audited"]),
        ("flowmine completion ''", ["bash", "zsh", "fish"]),
        ("flowmine recommend sam", ["compopt -o default", ""]),
        ("flowmine drops a --policies x", ["compopt -o default", ""]),
        ("flowmine recommend --into x", ["compopt -o default", ""]),
        ("flowmine recommend --cilium ''", [""]),
    ],
)
def test_bash_completes(shell: dict[str, str], words: str, expected: list[str]) -> None:
    """In bash, commands, options, their values and files are completed by the printed script."""
    assert expected == completed(shell, words)


def test_every_command_is_offered(shell: dict[str, str]) -> None:
    """An empty word is completed to all commands, in the order of the help."""
    assert list(COMMANDS) == completed(shell, "flowmine ''")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_take_their_script(name: str) -> None:
    """The scripts of zsh and fish name the variable that this command answers to; where the shell is here, it takes it."""
    made = CliRunner().invoke(main, ["completion", name]).stdout
    assert f"_FLOWMINE_COMPLETE={name}_complete" in made
    if program := shutil.which(name):
        assert 0 == subprocess.run([program, "-n"], input=made, text=True, check=False).returncode


def test_a_shell_that_is_not_known_is_refused() -> None:
    """Only shells that there is a script for are taken."""
    assert 2 == CliRunner().invoke(main, ["completion", "tcsh"]).exit_code


def test_names_cost_no_import() -> None:
    """Offering the names of commands imports none of them."""
    code = (
        "import sys\nfrom flowmine.cli import main\nfrom flowmine.cli.completion import FilesToo\n"
        "FilesToo(main, {}, 'flowmine', '').get_completions([], '')\n"
        "print(sorted(name for name in sys.modules if name in ('flowmine.cli.recommend', 'numpy', 'pyarrow')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


def test_options_that_take_no_file_offer_none() -> None:
    """Where no file is meant, none is offered."""
    found = FilesToo(main, {}, "flowmine", "").get_completions(["recommend", "--exclude"], "")
    assert [] == found
