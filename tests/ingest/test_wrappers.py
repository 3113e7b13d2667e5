"""What is around lines is taken off for a block at a time, and all is as if it were taken off for a line at a time."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmine.edges import COLUMNS
from flowmine.errors import InputError
from flowmine.ingest import jsonl, open_flows
from flowmine.ingest.wrappers import Partials, unwrapped
from flowmine.report.edgeview import edge_record, edge_rows
from flowmine.scale import aggregate
from tests.ingest.making import flow, record

STAMP = b"2026-11-18T09:30:00.123456789Z"


def text_of(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def docker(text: bytes, end: str = "\n") -> bytes:
    """Return a line of Docker's json-file."""
    return text_of({"log": text.decode("utf-8", "replace") + end, "stream": "stdout", "time": STAMP.decode()})


def usual(number: int) -> bytes:
    """Return a flow as Hubble prints it."""
    return text_of(record(number))


def turned(number: int) -> bytes:
    """Return a flow whose keys were sorted."""
    return json.dumps(record(number), sort_keys=True).encode()


INSIDE = (
    usual,
    usual,
    turned,
    lambda number: text_of(flow(number)),
    lambda number: text_of(record(number, verdict="PERHAPS")),
    lambda number: text_of(record(number, time="yesterday")),
    lambda number: text_of(record(number, l4={"TCP": {"source_port": "many", "destination_port": 1}})),
    lambda number: usual(number)[: 200 + number],
    lambda number: usual(number).replace(b"default/node-1", b"default/\xff"),
    lambda number: usual(number).replace(b'"Summary"', b'"Summary":"a","Summary"'),
    lambda number: text_of({"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": number + 1}}),
    lambda _: b'{"an":"other"}',
    lambda _: b'level=info msg="said" subsys=hubble',
    lambda _: b"",
    lambda _: b"[]",
)
"""What a line may have inside, by a number."""

AROUND = (
    lambda text: [text],
    lambda text: [STAMP + b" stdout F " + text],
    lambda text: [STAMP + b" stdout F " + text],
    lambda text: [STAMP + b" stdout F " + text],
    lambda text: [STAMP + b" stderr F " + text + b"\r"],
    lambda text: [b"  " + STAMP + b" stdout F " + text + b"  "],
    lambda text: [STAMP + b" stdout P " + text[:60], STAMP + b" stdout F " + text[60:]],
    lambda text: [docker(text)],
    lambda text: [docker(text[:60], ""), docker(text[60:])],
    lambda text: [STAMP + b" stdout F " + docker(text)],
    lambda text: [text_of({"labels": {"app": "cilium"}, "line": text.decode("utf-8", "replace")})],
    lambda text: [b"[pod/cilium-x7k2p/cilium-agent] " + text],
    lambda text: [text_of({"index": {}}), text_of({"message": text.decode("utf-8", "replace")})],
    lambda text: [text_of({"values": [["1", text.decode("utf-8", "replace")], ["2", "x"]]})],
)
"""What may be around it, on one line or several."""


def of_a_block(data: bytes, path: Path, misses: int, *, strict: bool) -> Any:
    """Return all that a reading tells; ``misses`` 0 is without taking anything off for a block at a time."""
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jsonl, "_MOST_MISSES", misses)
        try:
            source = open_flows(path, columns=COLUMNS, strict=strict)
            edges = aggregate(source, jobs=1)
            told = source.ledger
            flows = open_flows(path, strict=strict)
            rows = [row for batch in flows.batches() for row in batch.to_pylist()]
        except InputError as error:
            return str(error)
    records = [edge_record(row) for row in edge_rows(edges)]
    again = flows.ledger
    return rows, records, *((one.table().to_pylist(), one.notes, one.named) for one in (told, again))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    made=st.lists(st.tuples(st.sampled_from(INSIDE), st.sampled_from(AROUND)), min_size=1, max_size=20),
    around=st.none() | st.sampled_from(AROUND),
    ended=st.booleans(),
    strict=st.booleans(),
)
def test_all_is_told_as_if_line_by_line(
    made: list[Any], around: Any, ended: bool, strict: bool, tmp_path: Path
) -> None:
    """Flows, edges, the ledger, what is told of bad lines and where: the same, whatever is around which lines."""
    lines = [line for number, (inside, each) in enumerate(made) for line in (around or each)(inside(number))]
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    found = [of_a_block(data, tmp_path / "capture.log", misses, strict=strict) for misses in (0, 3)]
    assert found[0] == found[1]


@pytest.mark.parametrize("around", [each for each in AROUND[1:] if len(each(b"{}" * 60)) == 1])
def test_usual_lines_are_taken_apart_whatever_is_around_them(around: Any) -> None:
    """They are as Hubble wrote them once that is off, each with the number of its line."""
    lines = [(number, around(usual(number))[0]) for number in range(3, 40)]
    assert unwrapped(lines, Partials()) == ([usual(number) for number, _ in lines], tuple(range(3, 40)))


def test_pieces_of_lines_are_left_to_who_puts_them_together() -> None:
    """Where a line was cut in pieces nothing is taken off, and none is held."""
    partials = Partials()
    lines = [*enumerate([STAMP + b" stdout F " + usual(1), STAMP + b" stdout P " + usual(2)[:100]], 1)]
    assert unwrapped(lines, partials) is None
    assert partials.count == 0


def test_what_has_nothing_around_it_is_left_alone() -> None:
    """Neither lines as Hubble writes them, nor flows alone, nor what is none at all."""
    for inside in (usual, turned, lambda number: text_of(flow(number)), lambda _: b"words"):
        assert unwrapped([(number, inside(number)) for number in range(9)], Partials()) is None
