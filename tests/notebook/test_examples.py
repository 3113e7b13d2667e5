"""The examples in docstrings of what notebooks use."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module", ["flowmine.ingest.filters.line", "flowmine.notebook.frame", "flowmine.notebook.tracing"]
)
def test_examples_hold(module: str) -> None:
    """Each example gives what it says, and there is one."""
    failed, tried = doctest.testmod(import_module(module))
    assert (0, True) == (failed, tried > 0)
