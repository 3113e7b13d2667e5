"""Write captures: ``python -m tests.cluster samples``, or ``python -m tests.cluster NAME --flows N --out FILE``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.cluster.capture import write
from tests.cluster.model import Capture
from tests.cluster.replay import hours_at, replay
from tests.cluster.samples import write_samples
from tests.cluster.systems import SYSTEMS
from tests.cluster.truth import truth


def main(arguments: list[str]) -> int:
    """Do what the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("name", choices=["samples", *SYSTEMS], help="`samples`, or the system to record")
    parser.add_argument("--flows", type=int, default=100_000, help="number of lines (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="file to write, gzip'd for .gz; for samples the folder")
    parser.add_argument("--rate", type=float, help="flows a second (default: a block of 20,000 an hour)")
    parser.add_argument("--version", default="1.19", help="Cilium's version: 1.14 or 1.19 (default)")
    parser.add_argument("--truth", type=Path, help="also write what the cluster intends, as JSON")
    options = parser.parse_args(arguments)
    if options.name == "samples":
        for path in write_samples(options.out or Path("sample_flows")):
            print(path)
        return 0
    cluster = SYSTEMS[options.name]()
    out = options.out or Path(f"{options.name}.jsonl")
    begun = time.perf_counter()
    capture = Capture(version=options.version)
    if options.rate:
        capture = replace(capture, hours=hours_at(options.rate))
    count = write(out, replay(cluster, options.flows, capture))
    took = time.perf_counter() - begun
    print(f"{out}: {count:,} lines in {took:.1f} s ({count / took:,.0f}/s)", file=sys.stderr)
    if options.truth:
        options.truth.write_text(json.dumps(truth(cluster), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
