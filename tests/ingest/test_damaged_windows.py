"""Windows whose bytes are damaged: each is an error that names the file, or reads; nothing else comes out."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.edges import aggregate
from flowmine.errors import FlowmineError, InputError
from flowmine.ingest import open_flows
from flowmine.ingest.capturewindow import Folder, manifest_of, windows
from flowmine.live.state import load
from tests.live.killed import capture, tail

SAMPLE = Path(__file__).parents[2] / "sample_flows" / "node"


@cache
def recorded(way: str) -> Path:
    """Return a window of a recording, or of state, made once."""
    out = Path(mkdtemp()) / way
    {"capture": capture, "tail": tail}[way](SAMPLE, out)
    return windows(out)[-1]


def read(folder: Path) -> None:
    """Read a folder as commands do, and as `tail` goes on from it."""
    with Folder(folder) as one:
        if all(manifest_of(each).flowmine == "state" for each in one.windows()):
            load(one)
    aggregate(open_flows(folder))


@settings(max_examples=80)
@given(st.sampled_from(["capture", "tail"]), st.data())
def test_any_damage_is_told_or_survived(way: str, data: st.DataObject) -> None:
    """Bytes cut out, changed or put into any file of a window, pages and statistics of Parquet among them."""
    window = recorded(way)
    folder = Path(mkdtemp())
    try:
        copy = folder / "windows" / window.name
        shutil.copytree(window, copy)
        file = data.draw(st.sampled_from(sorted(copy.iterdir())))
        whole = bytearray(file.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, max(0, len(whole) - 1)))
            whole[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
        file.write_bytes(whole)
        read(copy.parent)
    except FlowmineError:
        return
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("way", ["capture", "tail"])
@pytest.mark.parametrize("name", ["endpoints", "names", "pods"])
def test_damage_in_the_middle_names_the_file(way: str, name: str, tmp_path: Path) -> None:
    """What is compressed in it cannot be read: the message says of which file, in one line."""
    copy = tmp_path / "windows" / recorded(way).name
    shutil.copytree(recorded(way), copy)
    file = copy / f"{name}.parquet"
    whole = bytearray(file.read_bytes())
    whole[4:40] = bytes(36)
    file.write_bytes(whole)
    with pytest.raises(InputError, match=rf"{name}\.parquet: cannot be read"):
        read(copy.parent)


def changed(way: str, name: str, folder: Path, how: Callable[[pa.Table], pa.Table]) -> Path:
    """Return a folder with a window of which one table was changed by another program."""
    copy = folder / "windows" / recorded(way).name
    shutil.copytree(recorded(way), copy)
    file = copy / f"{name}.parquet"
    pq.write_table(how(pq.read_table(file)), file)
    return copy.parent


@pytest.mark.parametrize(
    ("way", "name", "column"),
    [
        *(("capture", "endpoints", column) for column in ("id", "labels", "identities", "workload_kind", "pods")),
        *(("capture", "pods", column) for column in ("endpoint", "pod_name", "local")),
        *(("tail", "rows", column) for column in ("a", "ports", "hour", "arrived")),
        ("tail", "ledger", "count"),
        ("capture", "names", "subject"),
    ],
)  # fmt: skip
def test_a_table_that_lacks_values_is_told(way: str, name: str, column: str, tmp_path: Path) -> None:
    """Nobody could tell whose row it is, or add it up."""

    def without(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.nulls(table.num_rows, table.schema.field(place).type))

    with pytest.raises(FlowmineError, match=f"column '{column}' lacks values"):
        read(changed(way, name, tmp_path, without))


@pytest.mark.parametrize(("name", "column"), [("endpoints", "labels"), ("flows", "node_labels")])
def test_a_list_that_lacks_values_is_told(name: str, column: str, tmp_path: Path) -> None:
    """Labels are texts, all of them."""

    def without(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.array([[None]] * table.num_rows, pa.list_(pa.string())))

    with pytest.raises(InputError, match=rf"{name}\.parquet: cannot be read \(lists lack values"):
        read(changed("capture", name, tmp_path, without))


def test_flows_without_the_column_of_times_are_told(tmp_path: Path) -> None:
    """The times of row groups are looked up there."""
    with pytest.raises(FlowmineError, match="'time' is missing"):
        read(changed("capture", "flows", tmp_path, lambda table: table.drop_columns(["time"])))


@pytest.mark.parametrize("column", ["arrived", "l7_passed", "events"])
def test_counts_that_would_overflow_are_told(column: str, tmp_path: Path) -> None:
    """No events add up to so many."""

    def huge(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.array([2**64 - 1] * table.num_rows, pa.uint64()))

    with pytest.raises(FlowmineError, match=f"column '{column}' counts more than"):
        read(changed("tail", "rows", tmp_path, huge))
