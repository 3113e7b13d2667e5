"""Differences between policy sets as a table, as records for JSON and as markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from flowmine.advise.diff import Change, Difference
from flowmine.ports import ICMP, MAX_PORT, TRANSPORTS, PortSet
from flowmine.report.comment import comment, rows
from flowmine.report.tables import Column, Table

__all__ = ["diff_markdown", "diff_records", "diff_table", "ports_told"]

_FEW = 3
_COLUMNS = (
    Column("what"),
    Column("from"),
    Column("to"),
    Column("ports"),
    Column("side", spare=1),
    Column("by", spare=2),
)
_EVERY_PORT = PortSet.union(PortSet.span(name, 0, MAX_PORT) for name in TRANSPORTS)
_EVERY_TYPE = PortSet.union(PortSet.span(name, 0, 255) for name in ICMP)


def diff_table(found: Sequence[Difference]) -> Table:
    """Return a line for each difference."""
    return Table(
        _COLUMNS,
        tuple(
            (
                each.change.value,
                _few(each.sources),
                _few(each.targets),
                ports_told(each.ports),
                "+".join(each.sides),
                ", ".join(each.by),
            )
            for each in found
        ),
    )


def ports_told(ports: PortSet) -> str:
    """Return ports in few words: `any` for all there are, `any TCP` for all of a protocol."""
    if ports == _EVERY_PORT | _EVERY_TYPE:
        return "any"
    told = []
    for name in (*TRANSPORTS, *ICMP):
        own, most = ports.of_protocols(name), 255 if name in ICMP else MAX_PORT
        if own == PortSet.span(name, 0, most):
            told.append(f"any {name}")
        elif own:
            told.append(str(own))
    return ", ".join(told)


def _few(titles: Sequence[str]) -> str:
    more = len(titles) - _FEW
    return ", ".join(titles[:_FEW]) + (f" and {more:,} more" if more > 0 else "")


def diff_records(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return the differences for JSON, everybody named."""
    return [
        {
            "change": each.change.name.lower(),
            "from": list(each.sources),
            "to": list(each.targets),
            "ports": [
                {"protocol": one.protocol, "first": one.low, "last": one.high} for one in each.ports.intervals
            ],
            "sides": list(map(str, each.sides)),
            "by": list(each.by),
        }
        for each in found
    ]


def diff_markdown(found: Sequence[Difference]) -> Iterator[str]:
    """Yield the lines of a pull request's comment: a table for each kind of change, what is newly allowed first."""
    counts = [(kind, [each for each in found if each.change is kind]) for kind in Change]
    told = ", ".join(f"{len(some):,} {kind}" for kind, some in counts if some)
    parts = [rows(kind.value, diff_table(some)) for kind, some in counts if some]
    whole = "flowmine diff -o json has all of them."
    yield from comment(
        "flowmine diff", [f"{told}." if found else "The policies mean the same."], parts, whole
    )
