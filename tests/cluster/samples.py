"""Write sample_flows/: a folder a system with its capture, the policies in force there and a README."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.cluster.capture import events
from tests.cluster.hubble import Event
from tests.cluster.model import Capture, Cluster
from tests.cluster.readmes import READMES
from tests.cluster.systems import SYSTEMS

_JSON = msgspec.json.Encoder().encode
_DAY = 24.0
_CURRENT = 40  # events of a node that the exporter has not rotated away yet

Files = dict[str, bytes]


def samples() -> dict[str, Files]:
    """Return every sample folder's files by their path within it, gzip'd ones unpacked."""
    return {name: _folder(name, SYSTEMS[name](), record) for name, record in _RECORDS.items()}


def write_samples(root: Path) -> list[Path]:
    """Write all samples under ``root`` and return the files that changed; other files there are left alone."""
    changed = []
    for name, files in samples().items():
        for place, content in files.items():
            path = root / name / place
            if path.exists() and unpacked(path) == content:
                continue  # compressed bytes differ between zlib builds; what is right stays as it is
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed(content) if path.suffix == ".gz" else content)
            changed.append(path)
    return changed


def packed(content: bytes) -> bytes:
    """Return gzip'd bytes that say nothing of when or where they were made."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
        file.write(content)
    return out.getvalue()


def unpacked(path: Path) -> bytes:
    """Return a file's content, gunzipped where its name says so."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _folder(name: str, cluster: Cluster, record: Callable[[Cluster], Files]) -> Files:
    files = record(cluster)
    for policy in cluster.policies:
        files[f"policies/{policy['metadata']['name']}.yaml"] = _yaml(policy)
    files["README.md"] = READMES[name].encode()
    return files


class _Dumper(yaml.SafeDumper):
    """Writes YAML as people do: no anchors, list items under their key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _yaml(policy: Any) -> bytes:
    return yaml.dump(dict(policy), Dumper=_Dumper, sort_keys=False, width=110).encode()


def _lines(stream: Iterable[Event]) -> bytes:
    return b"".join(_JSON(event) + b"\n" for event in stream)


# ---- one way of recording each: observe, exporter files by node, an old Hubble, container logs


def _observed(cluster: Cluster) -> Files:
    """Record with `hubble observe -o jsonpb` over a day."""
    return {"flows.jsonl.gz": _lines(events(cluster, 4000, Capture(hours=_DAY, lost=3)))}


def _exported(cluster: Cluster) -> Files:
    """Record with the exporter on every node: one folder a node, rotated at noon, the current file still plain."""
    capture = Capture(start="2026-11-18T00:00:00", hours=_DAY, lost=2, node_status=False)
    nodes: dict[str, list[Event]] = {}
    for event in events(cluster, 3500, capture):
        nodes.setdefault(event["node_name"].rpartition("/")[2], []).append(event)
    files: Files = {}
    for node, all_of_it in sorted(nodes.items()):
        old, current = all_of_it[:-_CURRENT], all_of_it[-_CURRENT:]
        noon = [e for e in old if e["time"] < "2026-11-18T12"]
        files[f"{node}/events-2026-11-18T12-00-00.000.log.gz"] = _lines(noon)
        files[f"{node}/events-2026-11-18T23-00-00.000.log.gz"] = _lines(old[len(noon) :])
        files[f"{node}/events.log"] = _lines(current)
    return {place: content for place, content in files.items() if content}


def _old(cluster: Cluster) -> Files:
    """Record with Hubble 1.14: no uuid, emitter, trace reason, node labels or policy names."""
    return {"hubble-observe.json.gz": _lines(events(cluster, 2500, Capture(version="1.14", hours=12.0)))}


def _logged(cluster: Cluster) -> Files:
    """Record with the exporter writing to the agents' standard output, as the container runtime keeps it."""
    capture = Capture(hours=12.0, node_status=False)
    nodes: dict[str, list[bytes]] = {}
    for event in events(cluster, 2500, capture):
        line = f"{event['time']} stdout F ".encode() + _JSON(event) + b"\n"
        nodes.setdefault(event["node_name"].rpartition("/")[2], []).append(line)
    return {f"{node}/cilium-agent.log.gz": b"".join(lines) for node, lines in sorted(nodes.items())}


_RECORDS: dict[str, Callable[[Cluster], Files]] = {
    "three-tier": _observed,
    "linkding": _exported,
    "empire": _old,
    "node": _logged,
}
