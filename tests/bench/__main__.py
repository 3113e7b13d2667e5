"""Captures to edges, beside what a user would do instead: ``python -m tests.bench``.

Makes captures of the project's own cluster, and reads each in a fresh process: flowmine with all its semantics, in one
process, with all cores, compressed, and on Dask; DuckDB for the same keys and counts; and what gives less of an answer:
plain counts by DuckDB, polars and an orjson loop, a table by pyarrow, the policies of hubble-audit2policy, the bare
parse of pysimdjson. The fastest of ``--runs`` counts. What is not installed is left out and named.
"""

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from tests.bench.contenders import compressed, cores_of, recorded, rotated
from tests.bench.edges import RATE, made
from tests.bench.measure import Measured, measure

_MODULE = "tests.bench.contenders"
_TOLD = "flowmine, all cores"


@dataclass(frozen=True, slots=True)
class Contender:
    """A function of `contenders`: how it is called in the table, what it needs, and how much of a capture it gets."""

    title: str
    function: str
    needs: str = "flowmine"
    cores: set[int] | None = None
    share: int = 1
    stored: Callable[[Path], Path] | None = None
    """How it has the capture, where that is not plain JSON."""

    @property
    def is_there(self) -> bool:
        """Whether what it needs is installed: a library, or a program."""
        return importlib.util.find_spec(self.needs) is not None or shutil.which(self.needs) is not None


_ONE = Contender("flowmine, one process", "flowmine")
_PINNED = Contender("flowmine, one process, one core", "flowmine", cores={0})
_ALL = Contender(_TOLD, "flowmine_all")
_PLAIN_ALL = Contender("flowmine, all cores, without numba", "flowmine_without_numba")
_GZIP = Contender("flowmine, gzip, all cores", "flowmine_all", stored=compressed)
_GZIP_ONE = Contender("flowmine, gzip, one process", "flowmine", stored=compressed)
_ROTATED_ONE = Contender("flowmine, rotated gzip, one process", "flowmine", stored=rotated)
_ROTATED = Contender("flowmine, rotated gzip, all cores", "flowmine_all", stored=rotated)
_CAPTURE = Contender("flowmine, recorded as Parquet, one process", "flowmine", stored=recorded)
_INFLATE = Contender("isal, inflating alone", "isal_inflate", "isal", stored=compressed)
_DUCKDB = Contender("DuckDB, same keys and counts", "duckdb", "duckdb")
_PLAIN = Contender("DuckDB, plain counts", "duckdb_plain", "duckdb")
_POLARS = Contender("polars, plain counts", "polars_scan", "polars")
_PYARROW = Contender("pyarrow.json, table alone", "pyarrow_json")
_ORJSON = Contender("orjson loop, plain counts", "orjson_loop", "orjson")
_AUDIT = Contender("hubble-audit2policy", "hubble_audit2policy", "hubble_audit2policy", share=10)
_JQ = Contender("jq, sort and uniq, plain counts", "jq_loop", "jq", share=10)
_SIMDJSON = Contender("pysimdjson, parsing alone", "simdjson_parse", "simdjson")
_DASK = Contender("flowmine, Dask, all cores", "dask_engine", "distributed")
_COMPRESSED = (_GZIP_ONE, _GZIP, _ROTATED_ONE, _ROTATED)
_OURS = (_ONE, _PINNED, _ALL, _PLAIN_ALL, *_COMPRESSED, _CAPTURE, _DASK)
_OTHERS = (_DUCKDB, _PLAIN, _POLARS, _PYARROW, _ORJSON, _AUDIT, _JQ)
_FLOORS = (_SIMDJSON, _INFLATE)


@dataclass(frozen=True, slots=True)
class Result:
    """What a contender took for a capture of so many flows and bytes."""

    flows: int
    size: int
    got: Measured

    @property
    def rate(self) -> float:
        """Flows a second."""
        return self.flows / self.got.seconds

    def line(self, title: str) -> str:
        """Return a line of the table."""
        megabytes = self.size / self.got.seconds / 1e6
        return f"{title:<42} {self.got.seconds:8.2f} {self.rate:12,.0f} {megabytes:8.0f} {self.got.peak / 1e6:9,.0f}"


@click.command(help=__doc__)
@click.option("--flows", default=2_000_000, show_default=True, help="Events of the capture.")
@click.option("--rate", default=RATE, show_default=True, help="Events a second of the capture.")
@click.option("--runs", default=3, show_default=True, help="Runs of each; the fastest counts.")
@click.option(
    "--small",
    default=500_000,
    show_default=True,
    help="Events of the smaller of two captures, to be compared.",
)
@click.option(
    "--growth", default=10, show_default=True, help="How many times larger the other one is; 0 = none."
)
@click.option("--only", multiple=True, help="Contenders whose title has this text in it.")
@click.option("--markdown", is_flag=True, help="Also print the table as the README has it.")
def main(
    flows: int, rate: int, runs: int, small: int, growth: int, only: tuple[str, ...], markdown: bool
) -> None:
    """Print the table, the ratios, and how time and memory grow."""
    click.echo(f"{cores_of()} cores; seconds, flows/s, MB/s of JSON, MB of memory (of all its processes)")
    chosen = [
        one for one in (*_OURS, *_OTHERS, *_FLOORS) if not only or any(text in one.title for text in only)
    ]
    results: dict[str, Result] = {}
    fastest = partial(_fastest, rate=rate, runs=runs)
    for one in chosen:
        if not one.is_there:
            click.echo(f"{one.title:<42} left out: {one.needs} is not installed")
            continue
        results[one.title] = fastest(one, flows)
        click.echo(results[one.title].line(one.title))
    _ratios(results)
    if markdown:
        _markdown(flows, results)
    if growth:
        _grow(fastest, small, growth, [one for one in chosen if one in (_ONE, _ALL, _CAPTURE)])


def _fastest(one: Contender, flows: int, rate: int, runs: int) -> Result:
    path = made(flows // one.share, rate)
    size = path.stat().st_size
    stored = one.stored(path) if one.stored else path
    got = min(
        (measure(_MODULE, one.function, str(stored), cores=one.cores) for _ in range(runs)),
        key=lambda found: found.seconds,
    )
    return Result(flows // one.share, size, got)


def _ratios(results: dict[str, Result]) -> None:
    """Print how many times faster than the others flowmine is, and its share of bare parsing and inflating."""
    for base in (_ONE, _ALL):
        if base.title not in results:
            continue
        others = [one for one in (*_OTHERS, *_FLOORS) if one.title in results]
        ratios = (f"{results[base.title].rate / results[one.title].rate:.2f} x {one.title}" for one in others)
        click.echo(f"{base.title}: {'; '.join(ratios)}")
    if _PINNED.title in results and _ALL.title in results:
        ratio = results[_ALL.title].rate / results[_PINNED.title].rate
        click.echo(
            f"{_ALL.title}: {ratio:.2f} times one process on one core, of {_at_once():.2f} that there are"
        )
    for stored, plain in ((_GZIP_ONE, _ONE), (_GZIP, _ALL), (_ROTATED, _ALL)):
        if stored.title in results and plain.title in results:
            ratio = results[stored.title].rate / results[plain.title].rate
            click.echo(f"{stored.title}: {ratio:.0%} of as many reading it as a plain file")
    if _ONE.title in results and _CAPTURE.title in results:
        ratio = results[_CAPTURE.title].rate / results[_ONE.title].rate
        click.echo(f"{_CAPTURE.title}: {ratio:.2f} times as fast as the JSON it came from")


def _at_once() -> float:
    """Return how many cores' worth of work this machine does now, where others may use it too, with all of them busy."""
    with ThreadPoolExecutor() as pool:
        alone = measure(_MODULE, "spin").seconds
        together = list(pool.map(lambda _: measure(_MODULE, "spin").seconds, range(cores_of())))
    return sum(alone / seconds for seconds in together)


def _markdown(flows: int, results: dict[str, Result]) -> None:
    """Print the table in Markdown, its last column how many times longer than flowmine with all cores each takes."""
    base = results.get(_ALL.title)
    click.echo(
        f"\n| {flows:,} flows on {cores_of()} cores | flows/s | MB/s | memory (MB) | beside flowmine |"
    )
    click.echo("|---|---:|---:|---:|---:|")
    for title, one in results.items():
        beside = f"{base.rate / one.rate:.2f} x" if base else ""
        megabytes = one.size / one.got.seconds / 1e6
        click.echo(f"| {title} | {one.rate:,.0f} | {megabytes:,.0f} | {one.got.peak / 1e6:,.0f} | {beside} |")


def _grow(
    fastest: Callable[[Contender, int], Result], flows: int, times: int, chosen: Sequence[Contender]
) -> None:
    click.echo(f"{flows * times:,} flows beside {flows:,}:")
    found: dict[Contender, Result] = {}
    for one in chosen:
        small = fastest(one, flows)
        found[one] = large = fastest(one, flows * times)
        click.echo(small.line(one.title))
        click.echo(large.line(one.title))
        seconds, peak = large.got.seconds / small.got.seconds, large.got.peak / small.got.peak
        click.echo(f"  {seconds:.2f} times the time, {peak:.2f} times the memory")
    for other, is_what in ((_ALL, "all cores"), (_CAPTURE, "recorded as Parquet")):
        if _ONE in found and other in found:
            click.echo(f"  {is_what}: {found[other].rate / found[_ONE].rate:.2f} times one process")


if __name__ == "__main__":
    main()
