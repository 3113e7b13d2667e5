"""Windows whose bytes are damaged: each is an error that names the file, or reads; nothing else comes out."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

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
