"""Measure recommendations: coverage, fresh coverage, excess and strangers, against known truth.

    python -m tests.bench.quality                                   the corpora beside the checkout
    python -m tests.bench.quality --systems [PART]                  generated clusters, recorded in many ways
    python -m tests.bench.quality CAPTURE TRUTH.json FRESH.json …   other captures, three arguments each
    python -m tests.bench.quality --policies DIR CAPTURE TRUTH FRESH   policies that something else wrote

Options: `--exact` turns every generalisation off, `--l7` asks for HTTP rules, `--list N` bounds what is listed.
Exits 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.judge import Score, engine, judge
from tests.bench.truths import Truth
from tests.bench.variants import Variant, variants

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"


def corpora(folder: Path = CORPORA) -> Iterator[Variant]:
    """Yield the captures beside the checkout: two whole ones, and one of a single namespace."""
    for name, whole in (("threetier", "threetier"), ("hipster", "hipster"), ("hipster-shop", "hipster")):
        paths = (
            folder / f"{name}.jsonl.gz",
            folder / f"{whole}.truth.json",
            folder / f"{whole}.fresh-truth.json",
        )
        yield replace(_read(name, *paths), partial=name != whole)


def _read(name: str, capture: Path, truth: Path, fresh: Path) -> Variant:
    return Variant(name, capture, json.loads(truth.read_text()), json.loads(fresh.read_text()))


def recommended(capture: Path, *, exact: bool = False, l7: tuple[str, ...] = ()) -> list[Mapping[str, Any]]:
    """Return what flowmine recommends for a capture, as dicts."""
    from flowmine.advise.recommend import recommend
    from flowmine.edges import aggregate
    from flowmine.ingest import open_flows
    from flowmine.policy.codec import to_dict
    from flowmine.synth.options import Options

    options = replace(Options().exact() if exact else Options(), l7=l7)
    found = recommend(aggregate(open_flows(capture), requests=True), options)
    return [to_dict(policy) for policy in found.policies]


def read_policies(folder: Path) -> list[Mapping[str, Any]]:
    """Return every object in the YAML files of a folder and below."""
    import yaml

    found: list[Mapping[str, Any]] = []
    for path in sorted(folder.rglob("*.y*ml")):
        found += (each for each in yaml.safe_load_all(path.read_text()) if each)
    return found


def score(policies: Sequence[Mapping[str, Any]], case: Variant) -> Score:
    """Return how policies do against the truth of their day and of a later one."""
    today = Truth(case.truth)
    return judge(engine(policies, today), today, Truth(case.fresh), partial=case.partial)


def main(arguments: Sequence[str]) -> int:
    """Print the figures of each case; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quality")
    parser.add_argument("paths", nargs="*", type=Path, metavar="CAPTURE TRUTH FRESH")
    parser.add_argument("--policies", type=Path, help="judge these instead of a recommendation")
    parser.add_argument(
        "--systems", nargs="?", const="", metavar="PART", help="generated clusters, by part of their name"
    )
    parser.add_argument("--events", type=int, default=6000, help="about how many each generated capture has")
    parser.add_argument("--partial", action="store_true", help="the captures do not show every workload")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--l7", action="store_true")
    parser.add_argument("--list", type=int, default=10)
    options = parser.parse_args(arguments)
    if len(options.paths) % 3:
        parser.error("captures, truths and fresh truths come in threes")
    with TemporaryDirectory() as folder:
        missed = [case.name for case in _cases(options, Path(folder)) if not _measured(case, options)]
    return int(bool(missed))


def _cases(options: argparse.Namespace, folder: Path) -> Iterator[Variant]:
    for place in range(0, len(options.paths), 3):
        capture, truth, fresh = options.paths[place : place + 3]
        yield replace(_read(capture.name.split(".")[0], capture, truth, fresh), partial=options.partial)
    if options.systems is not None:
        yield from variants(folder, options.events, options.systems)
    elif not options.paths:
        yield from corpora()


def _measured(case: Variant, options: argparse.Namespace) -> bool:
    """Print one case's figures; tell whether they are all as they should be."""
    began = time.perf_counter()
    if options.policies:
        policies = read_policies(options.policies)
    else:
        policies = recommended(case.capture, exact=options.exact, l7=("http",) if options.l7 else ())
    found = score(policies, case)
    _print(case.name, len(policies), found, time.perf_counter() - began, options.list)
    return found.perfect


def _print(name: str, policies: int, found: Score, seconds: float, listed: int) -> None:
    figures = "  ".join(f"{m.name} {m.percent:.2f} % ({m.counted}/{m.total})" for m in found.measures())
    print(f"{name}: {policies} policies  {figures}  {seconds:.1f} s")
    for measure in found.measures():
        for line in measure.listed[:listed]:
            print(f"  {measure.name}: {line}")
        if len(measure.listed) > listed:
            print(f"  {measure.name}: and {len(measure.listed) - listed} more")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
