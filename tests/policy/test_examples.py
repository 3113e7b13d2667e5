"""The examples in the docstrings of flowmine.policy are true."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import flowmine.policy

MODULES = sorted(module.name for module in pkgutil.iter_modules(flowmine.policy.__path__, "flowmine.policy."))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    """Every example gives what it says."""
    assert doctest.testmod(import_module(name)).failed == 0
