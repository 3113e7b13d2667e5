"""The measured tables of README.md: `python -m tests.docs.figures NAME [MORE…]` runs the command of a mark, and writes what it prints.

A mark is ``<!-- NAME: COMMAND -->`` up to ``<!-- end -->``; MORE is added to the command's line.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docs.places import ROOT

__all__ = ["marks", "table", "written"]

_MARK = re.compile(
    r"(?P<head><!-- (?P<name>\w+): (?P<command>[^\n]*?) -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.S
)


def marks(text: str) -> dict[str, str]:
    """Return the commands of the marks of a page, by name."""
    return {found["name"]: found["command"] for found in _MARK.finditer(text)}


def written(text: str, name: str, printed: str) -> str:
    """Return the page with what the command of a mark printed in its place."""
    return _MARK.sub(
        lambda found: (
            f"{found['head']}{printed.strip()}\n{found['end']}" if found["name"] == name else found[0]
        ),
        text,
    )


def table(printed: str) -> str:
    """Return the table in what a command printed, which may say more on the terminal; all of it where there is none."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return "\n".join(lines) if lines else printed


def main(name: str, *more: str) -> None:
    """Run the command of a mark of README.md, and write what it prints there."""
    readme = Path(ROOT / "README.md")
    text = readme.read_text(encoding="utf-8")
    python, *words = [*shlex.split(marks(text)[name]), *more]
    command = [sys.executable if python == "python" else python, *words]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    readme.write_text(written(text, name, table(printed)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
