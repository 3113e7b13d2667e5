"""One target under atheris, which keeps each input that reaches lines of flowmine that no other reached, and changes it on."""

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any


def main(name: str, seconds: str) -> None:
    """Run a target so many seconds. Ends the process: with 0, or as libFuzzer does where the target broke."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    with atheris.instrument_imports(include=["flowmine"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS, samples_of
    from tests.fuzz.edits import edited, random_edits

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        return edited(data, random_edits(Random(seed)))[:most]

    options: dict[str, Any] = {
        "max_total_time": seconds,
        "verbosity": 0,
        "artifact_prefix": f"fuzz-{name}-",
        "timeout": 30,
        "rss_limit_mb": 2048,
    }
    with TemporaryDirectory() as folder:
        for place, sample in enumerate(samples_of(name)):
            Path(folder, str(place)).write_bytes(sample)
        atheris.Setup(
            [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), folder],
            TARGETS[name],
            custom_mutator=mutated,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
