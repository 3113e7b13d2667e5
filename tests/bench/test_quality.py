"""What is recommended, measured against the truth: everything meant is allowed, on a later day too, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.quality import CORPORA, corpora, recommended, score
from tests.bench.variants import variants

_beside = pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not beside this checkout")


@_beside
@pytest.mark.parametrize("l7", [(), ("http",)], ids=["layer 4", "http"])
@pytest.mark.parametrize("name", ["threetier", "hipster", "hipster-shop"])
def test_the_corpora_are_met_by_default(name: str, l7: tuple[str, ...]) -> None:
    """Coverage and fresh coverage are full, excess and strangers none; with HTTP rules fresh requests pass."""
    case = next(each for each in corpora() if each.name == name)
    found = score(recommended(case.capture, l7=l7), case)
    assert [()] * 4 == [measure.listed for measure in found.measures()]
    assert all(measure.total for measure in found.measures())


@_beside
@pytest.mark.parametrize("name", ["threetier", "hipster"])
def test_exact_lets_no_stranger_in(name: str) -> None:
    """With every generalisation off nothing unintended is allowed, at the cost of what was not seen."""
    case = next(each for each in corpora() if each.name == name)
    found = score(recommended(case.capture, exact=True), case)
    assert ((), ()) == (found.excess.listed, found.strangers.listed)
    assert found.coverage.percent > 80


@pytest.mark.parametrize(
    "name",
    [
        *(f"field / {way}" for way in ("1.19", "1.14", "node missing", "no dns", "audit")),
        "field in dual stack / 1.19",
        "field in a mesh / 1.19",
    ],
)
def test_everything_at_once_is_met_however_recorded(name: str, tmp_path: Path) -> None:
    """The cluster with ranges, SCTP, ICMP, runs, changing labels, a scan and outside of all kinds is met as well."""
    (case,) = variants(tmp_path, 12_000, name)
    found = score(recommended(case.capture), case)
    assert [()] * 4 == [measure.listed for measure in found.measures()]
