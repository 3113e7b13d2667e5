"""The sessions shown in README.md are real: each command is run, and prints what stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.S)


def session(text: str, folder: Path) -> str:
    """Run the commands of a console block in one folder and return it with what they print now."""
    bin_folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([bin_folder, os.environ["PATH"]]),
        "COLUMNS": "120",
        "PYTHONPATH": str(ROOT),
    }
    made = []
    for line in text.splitlines():
        if line.startswith("$ "):
            command = line[2:].replace("flowmine ", f"{sys.executable} -m flowmine ", 1)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            made.append(f"{line}\n{done.stdout}")
    return "".join(made)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what a clone's root holds, to run the sessions in one after the other."""
    made = tmp_path_factory.mktemp("readme")
    (made / "sample_flows").symlink_to(ROOT / "sample_flows")
    return made


def test_sessions_are_real(folder: Path, update_goldens: bool) -> None:
    """Every console block of the README prints, command by command, what stands there."""
    text = README.read_text(encoding="utf-8")
    made = BLOCK.sub(lambda found: f"```console\n{session(found[1], folder)}```", text)
    if update_goldens:
        README.write_text(made, encoding="utf-8")
    assert BLOCK.findall(made) == BLOCK.findall(README.read_text(encoding="utf-8"))


def test_first_commands_are_the_ones_promised() -> None:
    """The two commands that a newcomer runs stand in the README as they are."""
    text = README.read_text(encoding="utf-8")
    assert (
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/flowmine recommend sample_flows/three-tier"
        in text
    )
    assert ".venv/bin/pip install -q '.[test]' && .venv/bin/pytest" in text
