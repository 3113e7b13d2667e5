"""A merge as tests see it: a capture made by hand, a folder written by hand, and what came of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from flowmine.advise.merge import Merge, merge
from flowmine.advise.recommend import recommend
from flowmine.edges import Edges
from flowmine.engine.policyset import PolicySet
from flowmine.policy.merge import read_folder
from flowmine.policy.mergewrite import Change, write_changes
from flowmine.report.merging import changes, told
from flowmine.report.policies import EvidenceIn
from flowmine.schema import REQUESTS
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options
from flowmine.synth.scope import Scope
from tests.synth.made import END, START, Capture, place, pod

__all__ = [
    "API",
    "DB",
    "DNS",
    "HEAD",
    "ONLY_API",
    "OUTSIDE",
    "WEB",
    "Done",
    "hand",
    "run",
    "verdict",
    "with_requests",
]

WEB, API, DB = (pod("shop", app=name) for name in ("web", "api", "db"))
DNS = pod("kube-system", **{"k8s-app": "kube-dns"})
OUTSIDE = place("reserved:world", ip="203.0.113.7")

HEAD = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: NAME
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: NAME
"""


@dataclass
class Done:
    """What one merge did."""

    plan: Merge
    made: list[Change]
    lines: list[str]

    @property
    def texts(self) -> dict[str, str]:
        """The new text of every file that changed, by name."""
        return {each.name: each.after.decode() for each in self.made}


def run(
    capture: Capture | Edges, root: Path, options: Options | None = None, scope: Scope | None = None
) -> Done:
    """Recommend, merge into the folder and write, without evidence so that texts are short."""
    edges = capture.edges() if isinstance(capture, Capture) else capture
    found = recommend(edges, options, scope or Scope(namespaces=("shop",)))
    folder = read_folder(root)
    plan = merge(found, edges, folder, "default")
    made = changes(plan, folder, Witness(edges).of, EvidenceIn.NONE)
    lines = list(told(plan, made, folder))
    write_changes(made)
    return Done(plan, made, lines)


def hand(root: Path, name: str, rest: str, head: str = HEAD) -> Path:
    """Write a policy by hand for the pods with `app: NAME`, or with another head."""
    path = root / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {name}, by hand\n{head.replace('NAME', name)}{rest}")
    return path


def verdict(root: Path, source: object, target: object, port: int, **more: object) -> str:
    """What the folder's policies say of a connection between two ends of a capture."""
    ends = [{"labels": list(end.endpoint.labels), "ip": end.ip} for end in (source, target)]  # type: ignore[attr-defined]
    query = {"src": ends[0], "dst": ends[1], "protocol": "TCP", "port": port, **more}
    (answer,) = PolicySet.load(root).verdicts([query])
    parts = [answer[name] for name in ("http_allowed", "dns_allowed") if name in answer]
    return answer["verdict"] if all(parts) else "denied"


def with_requests(capture: Capture, *rows: tuple[int, str, str]) -> Edges:
    """The capture with requests: (row of its edges, method, path); for DNS the method is DNS, the path a name."""
    made = [
        {
            "edge": row,
            "method": method,
            "host": "",
            "path": path,
            "denied": False,
            "count": 3,
            "first": START,
            "last": END,
        }
        for row, method, path in rows
    ]
    return replace(capture.edges(), requests=pa.Table.from_pylist(made, schema=REQUESTS))


ONLY_API = """\
  ingress:
  - fromEndpoints:
    - matchLabels:
        app: api
    toPorts:
    - ports:
      - port: "5432"
        protocol: TCP
"""
