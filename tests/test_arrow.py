"""Arrow without pandas until it is asked for."""

import subprocess
import sys

_PROGRAM = """
import sys
from flowmine.arrow import for_commands
for_commands()
import pyarrow as pa
from flowmine.edges import COLUMNS, aggregate
from flowmine.ingest import open_flows
made = aggregate(open_flows("sample_flows/three-tier", columns=COLUMNS)).edges
assert made.num_rows
assert pa.default_memory_pool().backend_name == "system"
assert not {"pandas", "pydoc"}.intersection(sys.modules)
import pyarrow.compute as pc
assert pc.sum(made["events"]).as_py() > 0 and "Parameters" in pc.take.__doc__
frame = made.to_pandas()
assert "pandas" in sys.modules
import pandas as pd
assert frame.shape == made.to_pandas().shape == (made.num_rows, made.num_columns)
assert pa.array(pd.Series([1.5, None])).to_pylist() == [1.5, None]
assert pa.array(pd.Categorical(["a", "b", "a"])).to_pylist() == ["a", "b", "a"]
assert pa.Table.from_pandas(frame).num_rows == made.num_rows
"""


def test_a_command_imports_pandas_for_a_data_frame_and_not_before() -> None:
    """A capture is read to edges without pandas; afterwards Arrow and pandas exchange tables as ever."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_a_program_that_imports_flowmine_has_all_of_arrow() -> None:
    """Times of a table that flowmine made become Python values, to the nanosecond."""
    program = """
from flowmine.schema import TIME
import pyarrow as pa
assert "pandas" in repr(type(pa.array([1], TIME)[0].as_py()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
