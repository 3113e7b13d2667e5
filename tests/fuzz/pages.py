"""Captures all the way to what is written of them: policies, reports, maps; what came through reading must not break these."""

import io
from collections.abc import Callable

import pyarrow as pa

from flowmine.advise.drops import drops
from flowmine.edges import aggregate
from flowmine.ingest import open_flows
from flowmine.ingest.captureredact import Redaction
from flowmine.report.advised import advised
from flowmine.report.compose import compose
from flowmine.report.dropview import drop_manifests, drop_records
from flowmine.report.edgeview import edge_csv, edge_records, edge_table
from flowmine.report.html import report_page
from flowmine.report.map import maps
from flowmine.report.mapsvg import map_svg
from flowmine.report.policies import EvidenceIn, folder
from flowmine.report.redact import Redact, redacted, shown
from flowmine.report.summary import summary_lines
from flowmine.report.view import mapped
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options
from tests.fuzz.samples import captures

__all__ = ["READERS", "SAMPLES"]


def _listed(data: bytes) -> None:
    """As `edges` and `drops` print them."""
    source = open_flows(io.BytesIO(data))
    edges = aggregate(source, requests=True)
    list(summary_lines(source.ledger))
    edge_table(edges)
    list(edge_records(edges))
    edge_csv(edges)
    report = drops(edges)
    drop_records(report)
    list(drop_manifests(report))


def _page(data: bytes) -> None:
    """As `recommend -o DIR` and `report` write them."""
    source = open_flows(io.BytesIO(data))
    edges = aggregate(source, requests=True)
    advice = advised(edges, source.ledger, Options(l7=("http", "dns")))
    if advice.recommendation is not None:
        proposals = advice.recommendation.synthesis.proposals
        for path, text in folder(proposals, Witness(edges).of, EvidenceIn.COMMENTS).items():
            assert ".." not in path.split("/") and text.encode("utf-8", "backslashreplace")
    view = compose(edges, source.ledger, advice, "a title")
    view = mapped(redacted(view, tuple(Redact), ["web-7d9c8b6f5d-x2x7k"]), shown)
    assert b"<script>alert" not in report_page(view).encode()
    assert map_svg(view, maps(view)[0]).encode()


def _pseudonyms(data: bytes) -> None:
    """As `capture --redact` writes them."""
    source = open_flows(io.BytesIO(data))
    made = Redaction(("ips", "pods"), bytes(16))
    for batch in source.batches():
        made.flows(batch, lambda: source.endpoints)
    tables: dict[str, pa.Table] = {
        "endpoints": source.endpoints,
        "pods": source.pods,
        "ledger": source.ledger.table(),
    }
    made.beside(tables)


READERS: dict[str, Callable[[bytes], None]] = {"listed": _listed, "page": _page, "pseudonyms": _pseudonyms}
SAMPLES: dict[str, Callable[[], tuple[bytes, ...]]] = dict.fromkeys(READERS, captures)
