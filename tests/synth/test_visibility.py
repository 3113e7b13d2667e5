"""Policies that show names and requests, and deny nothing."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner

from flowmine.advise.recommend import ProofError
from flowmine.advise.visibility import prove_open, show
from flowmine.cli import main
from flowmine.edges import Edges, aggregate
from flowmine.engine.policyset import PolicySet
from flowmine.errors import UsageError
from flowmine.ingest import open_flows
from flowmine.policy.codec import to_dict
from flowmine.policy.model import Policy
from flowmine.policy.validate import validate
from flowmine.synth.options import Options
from tests.cluster import Capture, lines, write
from tests.cluster.systems.three_tier import three_tier


@cache
def _edges(dns: bool = True) -> Edges:
    """The edges of a capture without any L7 event: a first capture."""
    cluster = replace(three_tier(), visible=frozenset(), policies=())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "flows.jsonl"
        content = lines(cluster, 1500, Capture(http=False, dns=False))
        if not dns:
            content = (
                line
                for line in content
                if b'"destination_port":53}' not in line and b'"source_port":53,' not in line
            )
        write(path, content)
        return aggregate(open_flows(path))


def _policies(http: tuple[int, ...] = ()) -> list[Policy]:
    return [each.policy for each in show(_edges(), ["default"], http)]


def _pod(tier: str) -> dict[str, Any]:
    rows = _edges().endpoints.select(["labels"]).to_pylist()
    return {"labels": next(row["labels"] for row in rows if f"k8s:tier={tier}" in row["labels"])}


def _resolver() -> dict[str, Any]:
    rows = _edges().endpoints.select(["labels"]).to_pylist()
    return {"labels": next(row["labels"] for row in rows if "k8s:k8s-app=kube-dns" in row["labels"])}


def _answer(policies: list[Policy], **query: Any) -> dict[str, Any]:
    config = {"cluster_name": "three-tier"}
    objects = [to_dict(policy) for policy in policies]
    (answer,) = PolicySet.from_dicts(objects, config=config).verdicts([query])
    return answer


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_lookups_pass_the_proxy_and_any_name_is_answered(protocol: str) -> None:
    """Every pod's lookups at the resolver really asked are redirected over both transports, none is refused."""
    query = {"dns": {"query": "anything.example.org"}, "protocol": protocol, "port": 53}
    answer = _answer(_policies(), src=_pod("batch"), dst=_resolver(), **query)
    assert (answer["verdict"], answer["egress_l7"], answer["dns_allowed"]) == ("allowed", True, True)


def test_requests_pass_the_proxy_on_the_ports_asked_for_only() -> None:
    """HTTP is shown on a port given and not on another, whatever the request."""
    query = {"src": _pod("frontend"), "dst": _pod("backend"), "protocol": "TCP", "port": 80}
    request = {"http": {"method": "BREW", "path": "/any?x"}}
    shown = _answer(_policies((80,)), **query, **request)
    assert (shown["verdict"], shown["ingress_l7"], shown["http_allowed"]) == ("allowed", True, True)
    assert not _answer(_policies((8080,)), **query).get("ingress_l7")


def test_nothing_is_denied_and_no_direction_closed() -> None:
    """Peers and ports that nobody has seen pass in both directions, at pods with rules and without."""
    stranger = {"labels": ["reserved:world"], "ip": "192.0.2.1"}
    for tier in ("frontend", "backend", "database", "batch"):
        for ends in ({"src": stranger, "dst": _pod(tier)}, {"src": _pod(tier), "dst": stranger}):
            assert (
                _answer(_policies((80, 443, 7379)), **ends, protocol="TCP", port=12345)["verdict"]
                == "allowed"
            )


def test_cilium_takes_them() -> None:
    """The policies are within Cilium's own limits."""
    for policy in _policies((80, 443, 7379)):
        assert [problem for problem in validate(to_dict(policy)) if problem] == []


def test_a_policy_that_closes_a_direction_fails_the_proof() -> None:
    """Without enableDefaultDeny the same rules would cut pods off, and the engine says so."""
    (made,) = show(_edges(), ["default"], (80,))
    rules = tuple(replace(rule, enable_default_deny=None) for rule in made.policy.rules)
    closing = replace(made, policy=replace(made.policy, rules=rules))
    with pytest.raises(ProofError, match="it would deny"):
        prove_open(_edges(), [closing], (80,))


def test_a_policy_that_refuses_names_fails_the_proof() -> None:
    """A narrower DNS rule than all names is found out though no direction is closed."""
    (made,) = show(_edges(), ["default"])
    (rule,) = made.policy.rules
    (entry,) = rule.egress or ()
    (ports,) = entry.to_ports or ()
    assert ports.rules is not None
    narrow = replace(
        ports, rules=replace(ports.rules, dns=(replace(ports.rules.dns[0], match_pattern="*.com"),))
    )  # type: ignore[index]
    closing = replace(rule, egress=(replace(entry, to_ports=(narrow,)),), enable_default_deny=None)
    with pytest.raises(ProofError, match="it would deny"):
        prove_open(_edges(), [replace(made, policy=replace(made.policy, rules=(closing,)))])


def test_old_cilium_cannot_only_show() -> None:
    """Before 1.16 there is no enableDefaultDeny: an error says what to do instead."""
    with pytest.raises(UsageError, match=r"1\.15 has no enableDefaultDeny.*annotate"):
        show(_edges(), ["default"], (), Options(cilium=(1, 15)))


def test_a_namespace_nobody_saw_is_an_error() -> None:
    """A namespace without a pod in the capture is refused, with those that are there."""
    with pytest.raises(UsageError, match=r"no pod of nowhere.*default"):
        show(_edges(), ["nowhere"])


def test_nothing_to_show_is_an_error() -> None:
    """Without any lookup seen and without a port that speaks HTTP there is no policy to write."""
    with pytest.raises(UsageError, match="nothing to show in default"):
        show(_edges(dns=False), ["default"], (9999,))


def test_without_lookups_requests_are_still_shown() -> None:
    """Where no resolver was seen the policy shows requests alone and says that names stay unseen."""
    (made,) = show(_edges(dns=False), ["default"], (80,))
    assert all(rule.egress is None for rule in made.policy.rules)
    assert any("No lookup was seen" in note for note in made.notes)


def test_the_command_writes_them(tmp_path: Path) -> None:
    """`flowmine visibility` writes a policy a namespace, and the summary says what to do with them."""
    capture = tmp_path / "flows.jsonl"
    write(capture, lines(three_tier(), 800, Capture()))
    result = CliRunner().invoke(
        main, ["visibility", str(capture), "-n", "default", "--http", "80", "-o", str(tmp_path / "out")]
    )
    assert (result.exit_code, result.exception) == (0, None)
    assert [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.yaml")] == [
        Path("default/visibility.yaml")
    ]
    assert "1 policy that only shows, proved to deny nothing" in result.stderr
