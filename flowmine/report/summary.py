"""The closing lines of a reading: what was read, what was not and why, what Hubble lost, from when to when."""

from collections.abc import Iterable, Iterator

from flowmine.ledger import Ledger
from flowmine.report.gotime import format_time
from flowmine.report.tables import clean

__all__ = ["summary_lines"]

_SHOWN = 5
_REASONS = 20
"""How many reasons for skipping are told; a capture has few, a hostile one any number."""


def summary_lines(ledger: Ledger, facts: Iterable[str] = ()) -> Iterator[str]:
    """Yield the summary of a reading: one line on the whole, one for each trouble, and the facts a command adds."""
    yield clean(_whole(ledger))
    yield from (clean(line) for line in _troubles(ledger))
    yield from (clean(fact) for fact in facts)


def _whole(ledger: Ledger) -> str:
    flows = f"{_counted(ledger.flows, 'flow')} read"
    window = f", {_window(ledger)}" if ledger.window.first is not None else ""
    versions = ", ".join(sorted(version for version in ledger.versions if version))
    return flows + window + (f", seen by Cilium {versions}" if versions else "")


def _window(ledger: Ledger) -> str:
    first, last = ledger.window.first, ledger.window.last
    if first is None or last is None:
        return ""
    return f"from {format_time(first, 'RFC3339')} to {format_time(last, 'RFC3339')} ({_length(last - first)})"


def _troubles(ledger: Ledger) -> Iterator[str]:
    yield from _skipped(ledger)
    if ledger.bad:
        yield from (f"  {place}" for place in ledger.named)
        if ledger.bad > len(ledger.named):
            yield f"  and {ledger.bad - len(ledger.named):,} more"
    if ledger.total("lost"):
        yield f"{_counted(ledger.total('lost'), 'event')} lost by Hubble: {_sources(ledger, 'lost')}"
    if ledger.total("duplicate"):
        yield f"{_counted(ledger.total('duplicate'), 'event')} read twice, counted once"
    for source in ledger.sources("cut"):
        yield f"{source} ends in the middle; it was read up to there"
    if set(ledger.sources("node_status")) - {"NODE_CONNECTED"}:
        yield f"nodes came, went or failed: {_sources(ledger, 'node_status')}"
    if ledger.total("reconnect"):
        yield f"the stream broke and was resumed {_times(ledger.total('reconnect'))}: {_sources(ledger, 'reconnect')}"
    yield from _gaps(ledger)
    if ledger.total("backpressure"):
        yield f"the server was held back {_times(ledger.total('backpressure'))}, for this program was slower"
    advice = ledger.mask_advice()
    if advice:
        yield advice
    yield from ledger.notes


def _skipped(ledger: Ledger) -> Iterator[str]:
    """Yield how many lines were skipped, how many fields and events that are no flows were passed over, and why each."""
    others = ledger.total("skipped") - ledger.bad
    parts = [f"{_counted(ledger.bad, 'line')} skipped"] if ledger.bad else []
    if others:
        parts.append(
            f"{others:,} field{'s or other events' if others > 1 else ' or other event'} passed over"
        )
    if parts:
        yield f"{', '.join(parts)}: {_sources(ledger, 'skipped', _REASONS)}"


def _gaps(ledger: Ledger) -> Iterator[str]:
    """Yield what was missed of which node, from when to when; the first few."""
    gaps = [
        (node, why, entry) for (node, kind, why), entry in sorted(ledger.entries.items()) if kind == "gap"
    ]
    for node, why, entry in gaps[:_SHOWN]:
        times = [
            format_time(moment, "RFC3339Milli") for moment in (entry.first, entry.last) if moment is not None
        ]
        yield f"{node or 'the stream'}: events may be missing between {' and '.join(times) or 'unknown times'}: {why}"
    if len(gaps) > _SHOWN:
        yield f"and {len(gaps) - _SHOWN:,} more such gaps"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _sources(ledger: Ledger, kind: str, most: int = _SHOWN) -> str:
    counts = list(ledger.sources(kind).items())
    shown = [f"{source} {count:,}" for source, count in counts[:most]]
    return ", ".join(shown) + (f" and {len(counts) - most:,} more" if len(counts) > most else "")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _length(nanoseconds: int) -> str:
    seconds = nanoseconds // 10**9
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return _counted(seconds // length, unit)
    return _counted(seconds, "second")
