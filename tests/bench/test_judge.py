"""The judge itself: policies written from the truth are perfect, and each kind of fault is seen as what it is."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bench.judge import Measure, engine, judge
from tests.bench.quality import CORPORA, corpora, main, score
from tests.bench.truths import Truth
from tests.bench.variants import Variant

pytestmark = pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not beside this checkout")

Policy = dict[str, Any]


def _ideal(truth: Mapping[str, Any]) -> list[Policy]:
    """Policies written from the truth, one a governed pod, with nothing but what its edges say."""
    read = Truth(truth)
    egress: dict[str, list[Any]] = defaultdict(list)
    ingress: dict[str, list[Any]] = defaultdict(list)
    for edge in read.edges:
        ports = _ports(read, edge)
        egress[edge["src"]].append(_peer(read, edge["dst"], "to") | ports(True))
        ingress[edge["dst"]].append(_peer(read, edge["src"], "from") | ports(False))
    return [
        {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": key.replace("/", "-"), "namespace": key.split("/")[0]},
            "spec": {
                "endpointSelector": {"matchLabels": _selector(read, key)},
                "egress": egress[key] or [{}],
                "ingress": ingress[key] or [{}],
            },
        }
        for key in read.governed
    ]


def _selector(truth: Truth, key: str) -> dict[str, str]:
    pairs = (
        label.removeprefix("k8s:").split("=", 1) for label in truth.labels[key] if label.startswith("k8s:")
    )
    return {name: value for name, value in pairs if not name.startswith("io.cilium.k8s.namespace")}


def _peer(truth: Truth, key: str, way: str) -> dict[str, Any]:
    if key.startswith("entity:"):
        return {f"{way}Entities": [key.removeprefix("entity:")]}
    if not key.startswith("world:"):
        return {f"{way}Endpoints": [{"matchLabels": _selector(truth, key)}]}
    host = truth.data["outside"][key.removeprefix("world:")]
    if truth.is_crowd(key):
        return {f"{way}Entities": ["world"]}
    if way == "to" and "wild" in host:
        return {"toFQDNs": [{"matchPattern": host["wild"]}]}
    if way == "to" and "name" in host:
        return {"toFQDNs": [{"matchName": host["name"]}]}
    return {f"{way}CIDR": [f"{ip}/32" for ip in host["ips"]]}


def _ports(truth: Truth, edge: Mapping[str, Any]) -> Callable[[bool], dict[str, Any]]:
    triple = truth.triple(edge)
    lookup = triple.dst in truth.resolvers

    def ports(outward: bool) -> dict[str, Any]:
        protocols = ["UDP", "TCP"] if lookup else [triple.protocol]
        item: dict[str, Any] = {"ports": [{"port": str(triple.low), "protocol": each} for each in protocols]}
        if lookup and outward:
            item["rules"] = {"dns": [{"matchPattern": "*"}]}
        return {"toPorts": [item]}

    return ports


def _cases() -> list[Variant]:
    return list(corpora()) if CORPORA.is_dir() else []


def _by_name(name: str) -> Variant:
    return next(case for case in _cases() if case.name == name)


@pytest.mark.parametrize("name", ["threetier", "hipster"])
def test_policies_from_the_truth_are_perfect(name: str) -> None:
    """What the truth itself says, written as policies, covers everything on both days and nothing else."""
    case = _by_name(name)
    found = score(_ideal(case.truth), case)
    assert [measure.listed for measure in found.measures()] == [()] * 4
    assert [measure.percent for measure in found.measures()] == [100.0, 100.0, 0.0, 0.0]
    assert all(measure.total > 0 for measure in found.measures())


def _broken(change: Callable[[list[Policy]], None]) -> tuple[Measure, ...]:
    case = _by_name("threetier")
    policies = copy.deepcopy(_ideal(case.truth))
    change(policies)
    return score(policies, case).measures()


def _of(policies: list[Policy], name: str) -> dict[str, Any]:
    return next(each for each in policies if each["metadata"]["name"] == name)["spec"]


def test_a_missing_rule_is_missing_coverage() -> None:
    """Without one ingress rule exactly its edge fails, on both days, and nothing is in excess."""

    def change(policies: list[Policy]) -> None:
        _of(policies, "default-database")["ingress"] = [{}]

    coverage, fresh, excess, strangers = _broken(change)
    assert [line.split(" (")[0] for line in coverage.listed] == [
        "default/backend -> default/database 7379/TCP"
    ]
    assert len(fresh.listed) == 1
    assert (excess.listed, strangers.listed) == ((), ())


def test_no_policy_at_all_is_all_excess() -> None:
    """Without policies everything is covered, every unintended triple is allowed, and so are all strangers."""
    coverage, fresh, excess, strangers = _broken(lambda policies: policies.clear())
    # Nothing teaches the agent names, but nothing needs them either.
    assert [each.percent for each in (coverage, fresh, excess, strangers)] == [100.0, 100.0, 100.0, 100.0]


def test_names_need_a_lookup_through_the_proxy() -> None:
    """FQDN rules without a DNS rule on the way to the resolver allow nothing, on either day."""

    def change(policies: list[Policy]) -> None:
        for rule in _of(policies, "default-backend")["egress"]:
            rule["toPorts"][0].pop("rules", None)

    coverage, fresh, _, _ = _broken(change)
    assert {"default/backend -> world:google 80/TCP", "default/backend -> world:google 443/TCP"} == {
        line.split(" dst=")[0] for line in coverage.listed
    }
    assert len(fresh.listed) == 2


def test_yesterdays_names_are_not_tomorrows() -> None:
    """A list of the names seen covers the day of the capture and not the names that come later under the wildcard."""

    def change(policies: list[Policy]) -> None:
        host = _by_name("threetier").truth["outside"]["google"]
        names = [{"matchName": sub + host["wild"].lstrip("*")} for sub in host["subs"]]
        for rule in _of(policies, "default-backend")["egress"]:
            if "toFQDNs" in rule:
                rule["toFQDNs"] = names

    coverage, fresh, _, _ = _broken(change)
    assert coverage.listed == ()
    assert len(fresh.listed) == 2


def test_http_rules_must_admit_fresh_requests() -> None:
    """An HTTP rule that misses the paths of an edge denies it, though its port is open."""

    def change(policies: list[Policy]) -> None:
        for rule in _of(policies, "default-backend")["ingress"]:
            if "fromCIDR" in rule:
                rule["toPorts"][0]["rules"] = {"http": [{"method": "GET", "path": "/other"}]}

    coverage, _, _, _ = _broken(change)
    assert [line.split(" src=")[0] for line in coverage.listed] == ["world:vpn -> default/backend 80/TCP"]


def test_a_wide_selector_is_excess_and_an_open_door_is_strangers() -> None:
    """A peer selector that takes in everybody is excess; `world` in place of one address lets strangers in."""

    def widen(policies: list[Policy]) -> None:
        _of(policies, "default-database")["ingress"][0]["fromEndpoints"] = [{"matchLabels": {"app": "demo"}}]
        for each in policies:
            each["spec"]["egress"] = [{"toEntities": ["cluster"]}, *each["spec"]["egress"]]

    _, _, excess, strangers = _broken(widen)
    assert any(line.startswith("default/batch -> default/database 7379/TCP") for line in excess.listed)
    assert strangers.listed == ()

    def open_up(policies: list[Policy]) -> None:
        for rule in _of(policies, "default-backend")["ingress"]:
            if "fromCIDR" in rule:
                del rule["fromCIDR"]
                rule["fromEntities"] = ["world"]

    _, _, _, strangers = _broken(open_up)
    assert strangers.listed
    assert all(line.startswith("stranger ") and "default/backend" in line for line in strangers.listed)


def test_the_command_tells_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Given a folder of policies the command judges these, lists what fails, and says so by its exit code."""
    case = _by_name("threetier")
    paths = [case.capture, tmp_path / "truth.json", tmp_path / "fresh.json"]
    paths[1].write_text(json.dumps(case.truth))
    paths[2].write_text(json.dumps(case.fresh))
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "all.yaml").write_text("\n---\n".join(json.dumps(each) for each in _ideal(case.truth)))
    arguments = ["--policies", str(policies), *map(str, paths)]
    assert main(arguments) == 0
    assert "coverage 100.00 %" in capsys.readouterr().out
    (policies / "all.yaml").write_text(json.dumps(_ideal(case.truth)[0]))
    assert main(arguments) == 1
    assert "excess: " in capsys.readouterr().out


def test_figures_of_nothing_asked() -> None:
    """An empty question is no fault: full coverage, no excess."""
    assert [Measure(name, 0, 0, ()).percent for name in ("coverage", "excess")] == [100.0, 0.0]
    empty = Truth({"identities": [], "outside": {}, "edges": []})
    assert judge(engine([], empty), empty, None).perfect
