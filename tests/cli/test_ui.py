"""`flowmine ui` from the command line."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import main

SAMPLES = Path(__file__).parents[2] / "sample_flows"


def run(*arguments):
    return CliRunner().invoke(main, ["ui", "--no-browser", *map(str, arguments)])


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start it, and yield the process with the address that it prints; end it as Ctrl-C does."""
    command = [sys.executable, "-m", "flowmine", "ui", "--no-browser", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def test_it_prints_an_address_that_opens_the_page(tmp_path):
    """The address has the token; without it nothing is told; Ctrl-C ends the program in good order."""
    with started(
        SAMPLES / "empire", "--policies", SAMPLES / "empire" / "policies", "--save", tmp_path / "d"
    ) as (
        process,
        address,
    ):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with opener.open(address, timeout=30) as page:
            assert "empire: who talks to whom" in page.read().decode()
            assert "token" not in page.url
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address.partition("?")[0], timeout=30)
    assert 0 == process.returncode
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "0.0.0.0"], "--beyond-this-machine"),
        (["--listen", "192.0.2.1"], "--beyond-this-machine"),
        (["--listen", "::"], "--beyond-this-machine"),
        (["--listen", "somewhere"], "write an address"),
        (["--policies", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_options_are_told_at_once(arguments, told):
    """An address that others reach needs a word more; what is none is told, before anything is read."""
    done = run(SAMPLES / "empire", *arguments)
    assert 2 == done.exit_code and told in done.output


@pytest.mark.parametrize("folder", ["", "new", ".."])
def test_the_policies_in_force_stay_as_they_are(tmp_path, folder):
    """Where they are nothing is saved: not in their folder, in one of it, or around it."""
    policies = tmp_path / "in" / "policies"
    policies.mkdir(parents=True)
    text = (SAMPLES / "empire" / "policies" / "allow-within-namespace.yaml").read_text("utf-8")
    (policies / "one.yaml").write_text(text, "utf-8")
    done = run(SAMPLES / "empire", "--policies", policies, "--save", policies / folder)
    assert 2 == done.exit_code and "same place" in done.output


def test_a_port_in_use_is_told(tmp_path):
    """Another program's port is not taken."""
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = run(SAMPLES / "empire", "--port", other.getsockname()[1])
    assert 2 == done.exit_code and "cannot listen there" in done.output


def test_without_its_libraries_it_says_what_to_install(tmp_path):
    """The extra is named with the command that installs it, and nothing else of flowmine needs it."""
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('none', name='starlette')\n", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "flowmine", "ui", str(SAMPLES / "empire")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=SAMPLES.parent)
    assert 2 == done.returncode
    assert "pip install 'flowmine[web]'" in done.stderr and "Traceback" not in done.stderr
