"""The queries that ship with a capture: DuckDB's view, and the pandas example of `flowmine help capture`."""

import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowmine.cli import main
from tests.live.recording import SAMPLES, flows

SYSTEM = SAMPLES / "linkding"


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture, and beside it half a window that is still being written."""
    out = tmp_path_factory.mktemp("capture") / "traffic"
    result = CliRunner().invoke(main, ["capture", str(SYSTEM), "-d", str(out), "-q"])
    assert 0 == result.exit_code, result.output
    half = out / ".tmp-20261118T000000-000099"
    half.mkdir()
    (half / "flows.parquet").write_bytes(b"PAR1")
    return out


def test_duckdb_joins_the_tables(capture: Path) -> None:
    """Every event once, with the namespace and workload of both its ends; the ledger and names beside."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra `bench`)")
    base = duckdb.connect()
    base.execute((capture / "capture.sql").read_text())

    def asked(text: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = base.execute(text).fetchall()
        return found

    whole = flows(SYSTEM)
    dropped = sum(verdict == "DROPPED" for verdict in whole["verdict"].to_pylist())
    assert [(whole.num_rows, dropped)] == asked(
        f"SELECT count(*), count(*) FILTER (verdict = 'DROPPED') FROM flows('{capture}')"
    )
    pairs = asked(
        "SELECT DISTINCT source_namespace, source_workload, destination_workload "
        f"FROM flows('{capture}') WHERE source_workload = 'cloudflared' AND destination_port = 9090"
        " AND trace_observation_point = 'TO_ENDPOINT'"
    )
    assert [("linkding", "cloudflared", "linkding")] == pairs
    assert [(242,)] == asked(f"SELECT count FROM ledger('{capture}') WHERE source = 'PERF_EVENT_RING_BUFFER'")
    names = asked(f"SELECT DISTINCT name FROM names('{capture}') WHERE workload = 'cloudflared'")
    assert ("region1.v2.argotunnel.com",) in names


def test_the_example_for_pandas_runs(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code in the documentation gives a frame with a row an event and the ends' columns beside."""
    page = files("flowmine").joinpath("docs", "capture.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    monkeypatch.chdir(capture.parent)
    assert os.path.isdir("traffic")  # noqa: PTH112 - the name in the example
    scope: dict[str, Any] = {}
    exec(code, scope)
    frame = scope["flows"]
    assert flows(SYSTEM).num_rows == len(frame)
    chosen = frame[(frame.source_workload_name == "cloudflared") & (frame.destination_port == 9090)]
    arrived = chosen[chosen.trace_observation_point == "TO_ENDPOINT"]
    assert {"linkding"} == set(arrived.destination_workload_name)


def test_the_view_is_no_stray_file(capture: Path) -> None:
    """Reading the folder says nothing of it."""
    result = CliRunner().invoke(main, ["edges", str(capture)])
    assert (0, False) == (result.exit_code, "capture.sql" in result.output)
