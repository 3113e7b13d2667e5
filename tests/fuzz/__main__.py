"""Look for inputs that break a reader: ``python -m tests.fuzz [TARGET ...] --seconds N``.

Each target has N seconds. With atheris (``pip install atheris``) what is changed is chosen by the lines of flowmine that
it reaches; without, or with --plain, by chance. What breaks a reader is written to ``fuzz-TARGET-…`` in this folder, to
go into tests/fuzz/found.py once it is understood, and 1 is returned.
"""

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random

__all__ = ["main", "plainly"]


def main(arguments: list[str]) -> int:
    """Run the command line."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all, if none is named"
    )
    parser.add_argument("--seconds", type=float, default=10, help="for each target (10)")
    parser.add_argument("--seed", type=int, default=None, help="that a run without atheris printed")
    parser.add_argument("--plain", action="store_true", help="without atheris")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.targets) - TARGETS.keys()):
        parser.error(f"no such target: {', '.join(unknown)}")
    guided = not asked.plain and asked.seed is None and importlib.util.find_spec("atheris") is not None
    broken = []
    for name in asked.targets or TARGETS:
        if guided:
            run = subprocess.run([sys.executable, "-m", "tests.fuzz.guided", name, f"{asked.seconds:.0f}"])
            clean = run.returncode == 0
        else:
            clean = plainly(name, time.time_ns() if asked.seed is None else asked.seed, asked.seconds)
        broken += [] if clean else [name]
        print(f"{name}: {'nothing found' if clean else 'BROKEN'}", flush=True)
    return int(bool(broken))


def plainly(name: str, seed: int, seconds: float) -> bool:
    """Give a target inputs made by chance as long as told; return whether all went well."""
    from tests.fuzz.bounds import within
    from tests.fuzz.edits import edited, random_edits
    from tests.fuzz.targets import TARGETS, samples_of

    print(f"{name}: --seed {seed}", flush=True)
    samples, random, end = samples_of(name), Random(seed), time.monotonic() + seconds
    seen: set[str] = set()
    while time.monotonic() < end:
        data = edited(random.choice(samples), random_edits(random))
        try:
            with within(len(data)):
                TARGETS[name](data)
        except Exception as error:
            told = traceback.format_exc()
            place = f"{type(error)} {told.splitlines()[-4:-1]}"
            if place not in seen:
                path = Path(f"fuzz-{name}-{hashlib.sha256(data).hexdigest()[:12]}")
                path.write_bytes(data)
                print(f"{told}{path}", flush=True)
            seen.add(place)
    return not seen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
