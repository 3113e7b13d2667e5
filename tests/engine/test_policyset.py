"""The facade: loading, refusing, writing back, asking."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

import flowmine
from flowmine import schema
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.errors import InputError, PolicyError, SchemaError, UsageError
from flowmine.policy.codec import from_dict
from flowmine.policy.model import Policy
from tests.engine.making import Manifest, outside, peer, pod, policy, ports, query

CLOSED = policy("closed", "web", ingress=[{"fromEndpoints": [peer("front")]}])
WIDE = policy("wide", "web", ingress=[{"from": [peer("front")], "toPorts": ports(80)}])
BROKEN = policy("broken", "web", egress=[{"toCIDR": ["172.224.3/32"]}])
ASKED = [query(pod("front"), pod("web")), query(pod("back"), pod("web"))]


def test_the_facade_is_importable_from_the_top() -> None:
    """`flowmine.PolicySet` is an engine's set, which also answers in notebooks."""
    assert issubclass(flowmine.PolicySet, PolicySet)


def test_a_policy_that_cilium_refuses_has_no_effect_and_is_told() -> None:
    """The others apply as if it were not there."""
    policies = PolicySet.from_dicts([CLOSED, BROKEN])
    assert [each.policy for each in policies.problems()] == ["CiliumNetworkPolicy/shop/broken"]
    assert policies.verdicts(ASKED) == PolicySet.from_dicts([CLOSED]).verdicts(ASKED)


def test_strict_raises_where_a_policy_is_refused() -> None:
    """With strict the first refused policy is an error that names place and policy."""
    with pytest.raises(PolicyError, match=r"object 1: CiliumNetworkPolicy/shop/broken: spec\.egress\[0\]"):
        PolicySet.from_dicts([CLOSED, BROKEN], strict=True)


def test_an_unknown_field_is_dropped_or_refused_as_asked() -> None:
    """Pruned as by the API server a misspelt peer opens the port to everybody; as an error the policy is left out."""
    asked = [query(pod("back"), pod("web"))]
    pruned, refused = (PolicySet.from_dicts([WIDE], unknown=unknown) for unknown in ("prune", "error"))
    assert [pruned.verdicts(asked)[0]["ingress"], refused.verdicts(asked)[0]["ingress"]] == [
        "allowed",
        "no-policy",
    ]
    assert ([], 1) == (pruned.problems(), len(refused.problems()))


def test_of_two_with_one_name_the_later_counts() -> None:
    """Applying a policy again replaces it."""
    other = policy("closed", "web", ingress=[{"fromEndpoints": [peer("back")]}])
    assert [each["ingress"] for each in PolicySet.from_dicts([CLOSED, other]).verdicts(ASKED)] == [
        "denied",
        "allowed",
    ]


def test_groups_of_addresses_are_resolved() -> None:
    """A CiliumCIDRGroup among the objects gives a policy its addresses."""
    group = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumCIDRGroup",
        "metadata": {"name": "office"},
        "spec": {"externalCIDRs": ["192.0.2.0/24"]},
    }
    wanted = policy("office", "web", ingress=[{"fromCIDRSet": [{"cidrGroupRef": "office"}]}])
    asked = [query(outside("192.0.2.9"), pod("web")), query(outside("198.51.100.1"), pod("web"))]
    assert [each["ingress"] for each in PolicySet.from_dicts([group, wanted]).verdicts(asked)] == [
        "allowed",
        "denied",
    ]


def test_yaml_is_the_same_set_again(tmp_path: Path) -> None:
    """What `to_yaml` writes loads as an equal set with the same verdicts, and the same bytes come out again."""
    policies = PolicySet.from_dicts([CLOSED, policy("other", "db", egress=[{"toPorts": ports(53, "443")}])])
    (tmp_path / "set.yaml").write_text(policies.to_yaml())
    again = PolicySet.load(tmp_path / "set.yaml")
    assert (policies.policies, policies.to_yaml()) == (again.policies, again.to_yaml())


def test_a_folder_is_loaded_and_what_is_no_policy_is_told(tmp_path: Path) -> None:
    """Policies of a folder apply; other kinds are passed over and named."""
    (tmp_path / "a.json").write_text(json.dumps(CLOSED))
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    (tmp_path / "c.yaml").write_text(
        "apiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: out}\nspec: {}\n"
    )
    policies = PolicySet.load(tmp_path)
    assert [each.ref for each in policies.policies] == ["CiliumNetworkPolicy/shop/closed"]
    assert sorted(each.what for each in policies.skipped) == ["CiliumEgressGatewayPolicy", "Service web"]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A missing path is told, not taken for an empty set."""
    with pytest.raises(PolicyError, match="nowhere"):
        PolicySet.load(tmp_path / "nowhere.yaml")


def test_policies_made_by_program_are_taken_as_they_are() -> None:
    """`from_policies` judges like `from_dicts`, without the checks."""
    made = from_dict(CLOSED)
    assert isinstance(made, Policy)
    assert PolicySet.from_policies([made]).verdicts(ASKED) == PolicySet.from_dicts([CLOSED]).verdicts(ASKED)


def test_an_unknown_option_is_a_usage_error() -> None:
    """Options of the agent are checked before anything is judged."""
    with pytest.raises(UsageError, match="unknown engine option"):
        PolicySet.from_dicts([], config={"ipv5": True})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"src": pod("a"), "dst": pod("b"), "port": 80}, "query 0"),
        ({"src": pod("a"), "dst": pod("b"), "port": 80, "protocol": "ANY"}, "protocol is 'ANY'"),
        ({"src": pod("a"), "dst": pod("b"), "port": 70000, "protocol": "TCP"}, "port is 70000"),
        ({"src": pod("a"), "dst": "b", "port": 80, "protocol": "TCP"}, "query 0"),
        ("nonsense", "query 0"),
    ],
)
def test_a_malformed_query_is_named_by_its_place(wrong: Manifest, told: str) -> None:
    """What is no query is an input error."""
    with pytest.raises(InputError, match=told):
        PolicySet.from_dicts([]).verdicts([wrong])


def test_no_policies_and_no_queries_are_fine() -> None:
    """An empty set allows everything; an empty batch has no answers."""
    empty = PolicySet.from_dicts([])
    assert [each["verdict"] for each in empty.verdicts(ASKED)] == ["allowed", "allowed"]
    assert PolicySet.from_dicts([CLOSED]).verdicts([]) == []


def test_a_table_of_whole_queries_is_judged_too() -> None:
    """Queries that Arrow made columns of are answered as the mappings were."""
    policies = PolicySet.from_dicts([CLOSED])
    table = policies.evaluate(pa.Table.from_pylist(ASKED))
    assert table.schema == schema.VERDICTS
    assert table["ingress"].to_pylist() == [each["ingress"] for each in policies.verdicts(ASKED)]


def test_a_table_with_other_columns_is_a_schema_error() -> None:
    """The columnar form takes exactly its own columns."""
    parties = pa.table({"labels": [["reserved:world"]]})
    with pytest.raises(SchemaError, match="QUERIES"):
        PolicySet.from_dicts([]).evaluate(parties, parties)


def test_a_query_that_names_no_party_is_a_schema_error() -> None:
    """A number beyond the parties is told before anything is judged."""
    queries = pa.table(
        {
            "source": [0],
            "destination": [3],
            "protocol": ["TCP"],
            "port": [80],
            **{name: [None] for name in schema.QUERIES.names[4:]},
        },
    ).cast(schema.QUERIES)
    parties = pa.table(
        {"labels": [["reserved:world"]], "ip": [None], "names": [[]], "named_ports": [[]]}
    ).cast(schema.PARTIES)
    with pytest.raises(SchemaError, match="destination names no row of PARTIES"):
        PolicySet.from_dicts([]).evaluate(queries, parties)


def test_the_configuration_is_kept() -> None:
    """A set remembers the configuration it was made with."""
    assert PolicySet.from_dicts([], enforcement="always", config={"ipv6": True}).config == Config.of(
        "always", {"ipv6": True}
    )
