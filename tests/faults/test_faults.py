"""Every fault of the table, injected into the command line as a process; what each must come to, its function says."""

from pathlib import Path

import pytest

from tests.faults import disk, inputs, signals, streams
from tests.faults.registry import FAULTS, Fault

MODULES = (disk, inputs, signals, streams)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.title.replace(" ", "-"))
def test_nothing_is_lost(fault: Fault, tmp_path: Path) -> None:
    """The fault is injected, and nothing of what was there before or was finished is lost."""
    assert fault.inject(tmp_path) > 0
