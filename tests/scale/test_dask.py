"""Dask: the bytes of one process, a lost worker made good, and inputs from an object store."""

import gzip
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from flowmine.edges import COLUMNS, Edges
from flowmine.errors import InputError, UsageError
from flowmine.ingest import Source, open_flows
from flowmine.ingest.division import Division, Portion, Share
from flowmine.scale import aggregate, dask
from flowmine.scale.packing import unpacked
from tests.bench.peers import scan
from tests.scale.making import capture, read, told

_LINES = capture(4000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers, each a process."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as made:
        yield made


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small captures into many portions."""
    monkeypatch.setattr("flowmine.ingest.lockstep._ALONE", 1 << 16)
    monkeypatch.setattr("flowmine.ingest.lockstep._LARGEST", 1 << 16)


def _on(cluster: LocalCluster, *inputs: object, **options: Any) -> tuple[Edges, Source]:
    source = open_flows(*map(str, inputs), columns=COLUMNS, **options)
    return aggregate(source, engine="dask", scheduler=cluster.scheduler_address), source


def test_a_scheduler_gives_the_bytes_of_one_process(tmp_path: Path, cluster: LocalCluster) -> None:
    """Files, plain and compressed, that repeat each other and hold bad lines."""
    first, second = tmp_path / "a.log", tmp_path / "b.log.gz"
    lines = list(_LINES)
    lines[2000:2000] = [b"this is no JSON\n"]
    first.write_bytes(b"".join(lines))
    second.write_bytes(gzip.compress(b"".join(_LINES[1000:2500])))
    one = read(first, second, jobs=1)
    assert one[1].ledger.total("duplicate") > 1400
    assert told(one) == told(_on(cluster, first, second))


def test_a_worker_killed_midway_is_made_good(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one of two workers killed while the reading goes on, the answer is the same."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES))
    killed: list[int] = []
    join = Division.join

    def kill(division: Division, portion: Portion, share: Share) -> None:
        if portion.number == 10 and not killed:
            with Client(cluster, set_as_default=False) as client:
                killed.append(min(client.run(os.getpid).values()))
            os.kill(killed[0], signal.SIGKILL)
        join(division, portion, share)

    one = told(read(path, jobs=1))
    monkeypatch.setattr(Division, "join", kill)
    assert one == told(_on(cluster, path))
    assert 1 == len(killed)


def test_an_error_is_that_of_one_process(tmp_path: Path, cluster: LocalCluster) -> None:
    """With strict, the first bad line is named with its number in the file."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join([*_LINES[:3000], b"no\n", *_LINES[3000:], b"no\n"]))
    with pytest.raises(InputError, match=r"flows\.jsonl:3001: not JSON"):
        _on(cluster, path, strict=True)


def test_an_object_store_is_read_like_a_folder(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a bucket, by name, pattern or folder, give the bytes of the same files on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        _, port = server.get_host_and_port()
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            monkeypatch.setenv(name, value)
        import fsspec

        store = fsspec.filesystem("s3", skip_instance_cache=True)
        store.mkdir("captures")
        folder = tmp_path / "captures"
        folder.mkdir()
        contents = {
            "a.log": b"".join(_LINES[:1500]),
            "b.log.gz": gzip.compress(b"".join(_LINES[1000:])),
            "notes.txt": b"nothing of flows\n",
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            store.pipe(f"captures/flows/{name}", content)
        here = told(read(folder, jobs=1))
        for inputs in (["s3://captures/flows"], ["s3://captures/flows/*.log", "s3://captures/flows/b*.gz"]):
            for jobs in (1, 2):
                source = open_flows(*inputs, columns=COLUMNS)
                made = told((aggregate(source, jobs=jobs), source))
                assert _edges(here) == _edges(made)
        with pytest.raises(InputError, match=r"s3://captures/none: nothing by this name"):
            open_flows("s3://captures/none")
        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as fresh:
            assert _edges(here) == _edges(
                told(_on(fresh, "s3://captures/flows/*.gz", "s3://captures/flows/a.log"))
            )
    finally:
        server.stop()


def _edges(made: dict[str, Any]) -> dict[str, Any]:
    """Return all but the ledger's notes, which name the files."""
    return {name: value for name, value in made.items() if name != "told"}


def test_a_scan_stays_under_the_cap(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pod called by ever more addresses no worker's sum holds more than the cap, and few sums wait to be merged."""
    path = tmp_path / "scan.jsonl"
    path.write_text("".join(f"{line}\n" for line in scan(7000)))
    rows, waiting = [], []
    add, merged = dask._Tasks._add, dask._Tasks._merged

    def counted(tasks: dask._Tasks, parts: Any, height: int = 0) -> None:
        rows.append(tasks._client.submit(_rows, parts))
        add(tasks, parts, height)
        waiting.append(sum(map(len, tasks._sums)))

    def looked_at(tasks: dask._Tasks) -> list[Any]:
        rows[:] = tasks._client.gather(rows)
        return merged(tasks)

    one = open_flows(path, columns=COLUMNS)
    expected = told((aggregate(one, jobs=1, max_peers=100), one))
    monkeypatch.setattr(dask._Tasks, "_add", counted)
    monkeypatch.setattr(dask._Tasks, "_merged", looked_at)
    source = open_flows(path, columns=COLUMNS)
    made = aggregate(source, engine="dask", scheduler=cluster.scheduler_address, max_peers=100)
    assert expected == told((made, source))
    assert 100 == made.edges.num_rows
    assert 6900 == sum(row["count"] for row in made.ledger.to_pylist() if row["kind"] == "folded")
    assert (True, 100) == (len(rows) > 16, max(rows))
    assert max(waiting) < 2 * 8


def _rows(parts: dict[str, bytes]) -> int:
    return int(unpacked(parts).rows.num_rows)


def test_a_scheduler_out_of_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong address is an error that says so."""
    monkeypatch.setattr("flowmine.scale.dask._PATIENCE", "1s")
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES[:10]))
    with pytest.raises(UsageError, match=r"--scheduler tcp://127\.0\.0\.1:1: cannot be reached"):
        aggregate(open_flows(path, columns=COLUMNS), engine="dask", scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "spark"}, "unknown engine 'spark'"),
        ({"scheduler": "tcp://here:1"}, "a scheduler is for the engine dask"),
        ({"max_peers": 0}, "at least one peer"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """Engines that there are not, and options without their engine."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES[:10]))
    with pytest.raises(UsageError, match=message):
        aggregate(open_flows(path, columns=COLUMNS), **options)


def test_without_a_scheduler_one_is_made_here(tmp_path: Path) -> None:
    """Asked for Dask alone, workers start on this machine and end with the answer."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES[:1000]))
    source = open_flows(path, columns=COLUMNS)
    assert told(read(path, jobs=1)) == told((aggregate(source, engine="dask", jobs=1), source))
