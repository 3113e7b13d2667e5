"""Rows of answers have times to the nanosecond, whether or not somebody imported pandas before."""

import subprocess
import sys

from tests.docs.places import ROOT


def test_rows_have_times_where_nobody_imported_pandas() -> None:
    """In a fresh interpreter, `to_pylist` of an answer with times gives them whole."""
    script = "import flowmine as fm; print(fm.read('sample_flows/empire').edges().to_pylist()[0]['first'])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (0, "2026-11-18 10:01:22.512995251+00:00") == (done.returncode, done.stdout.strip()), done.stderr
