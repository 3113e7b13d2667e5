"""Policies, read the ways in which commands read them, and then used: judged, linted, extended, written, compared."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flowmine.advise.diff import compare
from flowmine.advise.drops import drops
from flowmine.advise.imagined import imagined
from flowmine.advise.inforce import in_force
from flowmine.advise.lint import lint
from flowmine.advise.lint.lines import Lines
from flowmine.advise.merge import merge
from flowmine.advise.recommend import Recommendation, recommend
from flowmine.edges import Edges, aggregate
from flowmine.engine.explain import explain
from flowmine.engine.policyset import PolicySet
from flowmine.engine.trace import trace
from flowmine.ingest import open_flows
from flowmine.policy.codec import from_yaml, to_yaml_stream
from flowmine.policy.files import load, read_texts
from flowmine.policy.merge import read_folder
from flowmine.policy.validate import validate
from flowmine.report.dropview import drop_manifests, drop_records
from flowmine.report.entryspans import entry_spans
from flowmine.synth.options import Options
from tests.fuzz.samples import policies, window

__all__ = ["READERS", "SAMPLES"]

_POD = {"labels": ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"], "names": ["api.example.com"]}
_WORLD = {"labels": ["reserved:world"], "ip": "10.1.0.1"}
_ASKED: tuple[dict[str, Any], ...] = (
    {"src": _POD, "dst": _POD, "protocol": "TCP", "port": 80, "http": {"method": "GET", "path": "/a/b"}},
    {"src": _WORLD, "dst": _POD, "protocol": "ICMP", "port": 8},
    {"src": _POD, "dst": _WORLD, "protocol": "UDP", "port": 53, "dns": {"query": "api.example.com"}},
)


@contextmanager
def _folder(data: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "policies", "a.yaml")
        path.parent.mkdir()
        path.write_bytes(data)
        yield path


@cache
def _seen() -> tuple[Edges, Recommendation]:
    edges = aggregate(open_flows(window("capture")), requests=True)
    return edges, recommend(edges, Options())


def _checked(data: bytes) -> None:
    """As `validate` and `lint` do, with the lines in which problems stand."""
    with _folder(data) as path:
        for unknown in ("prune", "error"):
            loaded = load(path, unknown=unknown)
            for document in loaded.documents:
                for problem in validate(document.value, unknown=unknown):
                    assert document.at(problem.path) and str(problem)
        for text in read_texts(loaded.documents).values():
            entry_spans(text)
        lines = Lines(data)
        for finding in lint(loaded.documents):
            lines.line(finding.document, finding.path)
        load(path.parent)


def _judged(data: bytes) -> None:
    """As `verdict` and `trace` do; what Cilium accepts is written, and read again the same."""
    with _folder(data) as path:
        loaded = PolicySet.load(path, unknown="prune")
        loaded.problems()
        loaded.verdicts(_ASKED)
        for asked in _ASKED:
            explain(trace(loaded, asked), True)
        text = to_yaml_stream([*loaded.groups, *loaded.policies])
        assert (*loaded.groups, *loaded.policies) == from_yaml(text)
        for document in load(path).documents:
            document.decode()


def _extended(data: bytes) -> None:
    """As `recommend --into` does: what is missing is put into the texts that are there."""
    edges, found = _seen()
    with _folder(data) as path:
        made = merge(found, edges, read_folder(path.parent), "default")
        assert made is not None


def _repaired(data: bytes) -> None:
    """As `drops` and `diff` do: the smallest change to the texts that are there."""
    edges, _ = _seen()
    with _folder(data) as path:
        loaded = load(path)
        texts = read_texts(loaded.documents)
        known = in_force(loaded.documents)
        report = drops(edges, known, texts=texts)
        list(drop_manifests(report))
        drop_records(report)
        nothing = PolicySet.from_dicts([])
        compare(known.policies, nothing, imagined(known.policies, nothing)[:8])


READERS: dict[str, Callable[[bytes], None]] = {
    "policies": _checked,
    "policies-judged": _judged,
    "policies-extended": _extended,
    "policies-repaired": _repaired,
}
SAMPLES: dict[str, Callable[[], tuple[bytes, ...]]] = dict.fromkeys(READERS, policies)
