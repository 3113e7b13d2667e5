"""Measure the Chao2 estimate: generated workloads with a known number of contacts, steady and rare, seen for some hours.

    python -m tests.bench.completeness [--workloads N]

Printed for captures of 10, 16, 24 and 48 hours: the mean part seen, and the mean error of what was seen alone and of the
estimate, both in percent of what there is. The estimate is a lower bound, so rare contacts keep it from being exact.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass

from flowmine.advise.completeness import estimate

HOURS = (10, 16, 24, 48)


@dataclass(frozen=True, slots=True)
class Case:
    """One workload: for each of its contacts the chance to be seen in an hour."""

    rates: tuple[float, ...]

    def watched(self, hours: int, rng: random.Random) -> list[int]:
        """Return, for each contact that was seen, in how many of the hours it was."""
        counts = (sum(rng.random() < rate for _ in range(hours)) for rate in self.rates)
        return [count for count in counts if count]


def cases(count: int, rng: random.Random) -> list[Case]:
    """Return workloads with many steady contacts and some rare ones."""
    made = []
    for _ in range(count):
        steady = [rng.uniform(0.2, 1.0) for _ in range(rng.randint(2, 12))]
        rare = [rng.uniform(0.005, 0.2) for _ in range(rng.randint(0, 8))]
        made.append(Case((*steady, *rare)))
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the error of the estimate beside that of what was seen alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.completeness")
    parser.add_argument("--workloads", type=int, default=2000)
    options = parser.parse_args(arguments)
    rng = random.Random(1)
    known = cases(options.workloads, rng)
    print("hours  seen of all  error of seen  error of Chao2  ratio")
    for hours in HOURS:
        seen, plain, chao = errors(known, hours, rng)
        print(f"{hours:5}  {seen:10.1%}  {plain:13.1%}  {chao:14.1%}  {chao / plain:5.2f}")


def errors(known: Sequence[Case], hours: int, rng: random.Random) -> tuple[float, float, float]:
    """Return the mean part seen, and the mean absolute error of the number seen and of the estimate."""
    parts, plain, chao = [], [], []
    for case in known:
        counts = case.watched(hours, rng)
        total = len(case.rates)
        parts.append(len(counts) / total)
        plain.append(abs(len(counts) - total) / total)
        chao.append(abs(estimate(counts, hours) - total) / total)
    return _mean(parts), _mean(plain), _mean(chao)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
