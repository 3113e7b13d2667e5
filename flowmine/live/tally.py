"""What `tail` counts, and how Prometheus reads it: few series, whatever the cluster's size."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ledger import Ledger
from flowmine.schema import ENUMS

__all__ = ["Tally", "exposition"]

_MOST_SOURCES = 20


@dataclass(slots=True)
class Tally:
    """Counts since the start of this run; ``lag`` is how old the newest event was when it came, in seconds."""

    verdicts: Counter[str] = field(default_factory=Counter)
    flows: int = 0
    edges: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    policies: int = 0
    lag: float | None = None
    stable: bool = False
    lost: dict[str, int] = field(default_factory=dict)
    gaps: int = 0
    duplicates: int = 0
    skipped: int = 0
    reconnects: int = 0
    throttled: int = 0

    def add(self, batch: pa.RecordBatch, now: float) -> None:
        """Count the events of a batch that came at ``now``, in seconds since the epoch."""
        if not batch.num_rows:
            return
        self.flows += batch.num_rows
        codes = batch.column("verdict").indices.to_numpy(zero_copy_only=False)
        for code, count in enumerate(np.bincount(codes, minlength=1).tolist()):
            if count:
                self.verdicts[ENUMS["verdict"][code]] += count
        newest = pc.max(batch.column("time").cast(pa.int64())).as_py()
        if newest is not None:
            self.lag = max(0.0, now - newest / 1e9)

    def hear(self, ledger: Ledger, counts: object = None) -> None:
        """Take over what a ledger tells, and what a relay's connection counts."""
        sources = list(ledger.sources("lost").items())
        self.lost = dict(sources[:_MOST_SOURCES])
        if rest := sum(count for _, count in sources[_MOST_SOURCES:]):
            self.lost["other"] = rest
        self.gaps, self.duplicates = ledger.total("gap"), ledger.total("duplicate")
        self.skipped = ledger.bad
        self.reconnects = int(getattr(counts, "reconnects", 0))
        self.throttled = int(getattr(counts, "throttled", 0))


def exposition(tally: Tally) -> str:
    """Return the counts in Prometheus' text format (version 0.0.4)."""
    told: list[tuple[str, str, str, dict[str, float]]] = [
        ("flows_total", "counter", "Events read, by verdict.", _by("verdict", tally.verdicts)),
        (
            "lost_events_total",
            "counter",
            "Events that Hubble says it lost, by where.",
            _by("source", tally.lost),
        ),
        ("gaps_total", "counter", "Holes in a node's events, each in the ledger.", {"": tally.gaps}),
        ("duplicate_events_total", "counter", "Events sent twice, counted once.", {"": tally.duplicates}),
        ("unreadable_events_total", "counter", "Messages that could not be read.", {"": tally.skipped}),
        ("reconnects_total", "counter", "Connections after the first.", {"": tally.reconnects}),
        ("backpressure_total", "counter", "Times the server waited for flowmine.", {"": tally.throttled}),
        ("new_edges_total", "counter", "Edges never seen before.", {"": tally.changes["edge"]}),
        ("new_drops_total", "counter", "Edges dropped for a new reason.", {"": tally.changes["drop"]}),
        (
            *("would_drop_total", "counter"),
            "New edges that the policies in force would deny.",
            {"": tally.changes["would_drop"]},
        ),
        ("policies_written_total", "counter", "Recommendations written or withdrawn.", {"": tally.policies}),
        ("edges", "gauge", "Edges known.", {"": tally.edges}),
        ("stable", "gauge", "1 once nothing new was seen for the time of --settle.", {"": int(tally.stable)}),
    ]
    if tally.lag is not None:
        told.append(("lag_seconds", "gauge", "Age of the newest event when it was read.", {"": tally.lag}))
    lines = []
    for name, kind, help_, values in told:
        lines += [f"# HELP flowmine_{name} {help_}", f"# TYPE flowmine_{name} {kind}"]
        lines += [
            f"flowmine_{name}{labels} {value:g}"
            if isinstance(value, float)
            else f"flowmine_{name}{labels} {value}"
            for labels, value in values.items()
        ]
    return "\n".join(lines) + "\n"


def _by(label: str, counts: dict[str, int]) -> dict[str, float]:
    return {f'{{{label}="{_escaped(name)}"}}': count for name, count in sorted(counts.items())}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
