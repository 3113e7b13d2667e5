"""What holds of every recommendation: on random clusters, judged by what is really meant there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmine.advise.recommend import Recommendation, recommend
from flowmine.edges import Edges, aggregate
from flowmine.engine.policyset import PolicySet
from flowmine.ingest import open_flows
from flowmine.labels import is_stable_key
from flowmine.policy.codec import to_dict, to_yaml_stream
from flowmine.policy.model import Operator
from flowmine.synth.options import Options
from flowmine.synth.scope import Per, Scope
from tests.bench.judge import Score, engine, judge
from tests.bench.truths import Truth
from tests.cluster import Capture, Cluster, clusters, lines, truth, write

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _edges(folder: Path, cluster: Cluster, capture: Capture | None = None) -> Edges:
    path = folder / "capture.jsonl"
    write(path, lines(cluster, 2500, capture))
    return aggregate(open_flows(path), requests=True)


def _score(found: Recommendation, cluster: Cluster) -> Score:
    today, later = Truth(truth(cluster)), Truth(truth(cluster, day=1))
    return judge(
        engine([to_dict(each) for each in found.policies], today), today, later, partial=True, sample=2000
    )


def _of_fixed_peers(cluster: Cluster) -> Cluster:
    """The cluster without what a capture can only show a sample of: port ranges and crowds on the internet."""
    crowds = {f"world:{each.name}" for each in cluster.outside if len(each.ips) > 4}
    kept = tuple(
        link
        for link in cluster.links
        if not isinstance(link.port, tuple) and not crowds & {link.src, link.dst}
    )
    return replace(cluster, links=kept)


@FEW
@given(cluster=clusters())
def test_all_that_is_meant_is_allowed_today_and_tomorrow(tmp_path, cluster):
    """On the day of the capture and on a later one, with new pods, runs and hashes, nothing meant is denied."""
    cluster = _of_fixed_peers(cluster)
    score = _score(recommend(_edges(tmp_path, cluster)), cluster)
    assert ((), ()) == (score.coverage.listed, score.fresh.listed)


@FEW
@given(cluster=clusters())
def test_nothing_else_is_allowed(tmp_path, cluster):
    """No unintended connection of known parties, and no stranger, is let in, but for other runs of a run that may."""
    cluster = _of_fixed_peers(cluster)
    score = _score(recommend(_edges(tmp_path, cluster), Options().exact()), cluster)
    between_runs = [line for line in score.excess.listed if _is_of_runs(line, cluster)]
    assert list(score.excess.listed) == between_runs
    assert () == score.strangers.listed


def _is_of_runs(line: str, cluster: Cluster) -> bool:
    """Tell whether a listed connection is one that some other run or replica of the same two workloads means."""
    found = re.match(r"([^/ ]+/[^/ ]+)\S* -> ([^/ ]+/[^/ ]+)\S* (\d+)/", line)
    assert found
    src, dst, port = found.groups()
    return any(
        (link.src, link.dst, str(link.icmp if link.proto.startswith("ICMP") else link.port))
        == (src, dst, port)
        for link in cluster.links
    )


@FEW
@given(cluster=clusters(), per=st.sampled_from(list(Per)))
def test_no_rule_is_needless_however_it_is_cut(tmp_path, cluster, per):
    """Every edge admitted is allowed and every rule is needed, whether per workload, namespace or flow."""
    found = recommend(_edges(tmp_path, cluster), scope=Scope(per=per))
    assert ((), ()) == (found.proof.gaps, found.needless)


@FEW
@given(cluster=clusters())
def test_however_they_are_cut_policies_say_the_same(tmp_path, cluster):
    """Per workload, per namespace or per flow: every connection between all parties seen gets the same verdict."""
    edges = _edges(tmp_path, cluster)
    ports = sorted({(row["protocol"], row["port"] or 0) for row in edges.edges.to_pylist()})[:12]
    ends = edges.endpoints["labels"].to_pylist()
    parties = [{"labels": labels, "ip": "192.0.2.250"} for labels in ends if labels]
    queries = [
        {"src": one, "dst": other, "protocol": protocol, "port": port}
        for one in parties
        for other in parties
        for protocol, port in ports
    ]
    config = {"ipv6": Truth(truth(cluster)).dual, "cluster_name": Truth(truth(cluster)).cluster}
    verdicts = []
    for per in Per:
        made = [to_dict(each) for each in recommend(edges, scope=Scope(per=per)).policies]
        answers = PolicySet.from_dicts(made, config=config).verdicts(queries)
        verdicts.append([(each["egress"], each["ingress"]) for each in answers])
    assert verdicts[0] == verdicts[1] == verdicts[2]


@FEW
@given(cluster=clusters())
def test_order_of_events_changes_no_byte(tmp_path, cluster):
    """The same events in any order give the same policies, byte for byte."""
    texts = {
        to_yaml_stream(recommend(_edges(tmp_path, cluster, Capture(shuffled=shuffled))).policies)
        for shuffled in (False, True)
    }
    assert 1 == len(texts)


@FEW
@given(cluster=clusters())
def test_no_selector_names_what_changes(tmp_path, cluster):
    """No selector names the value of a label that changes per pod, run or rollout."""
    for policy in recommend(_edges(tmp_path, cluster)).policies:
        for rule in policy.rules:
            selectors = [
                rule.endpoint_selector,
                *(s for _, _, e in rule.entries() for s in e.endpoints or ()),
            ]
            for selector in filter(None, selectors):
                named = [key for key, _ in selector.match_labels]
                named += [each.key for each in selector.match_expressions if each.operator is Operator.IN]
                assert [] == [key for key in named if not is_stable_key(key)]
