"""Queries out of Arrow tables."""

from typing import Any

import pyarrow as pa
import pytest

from flowmine import schema
from flowmine.engine.policyset import PolicySet
from flowmine.engine.queries import queries_of
from flowmine.errors import InputError
from tests.engine.making import Manifest, outside, peer, pod, policy, ports, query

POLICIES = PolicySet.from_dicts(
    [
        policy(
            "web",
            "web",
            ingress=[
                {
                    "fromEndpoints": [peer("front")],
                    "toPorts": ports(80, rules={"http": [{"method": "GET", "path": "/x", "host": "a.io"}]}),
                }
            ],
            egress=[
                {
                    "toEntities": ["world"],
                    "toPorts": ports(53, protocol="UDP", rules={"dns": [{"matchName": "a.io"}]}),
                },
                {"toFQDNs": [{"matchName": "a.io"}], "toPorts": ports(443)},
            ],
        )
    ]
)
ASKED = [
    query(pod("front"), pod("web"), http={"method": "GET", "path": "/x", "host": "a.io"}),
    query(pod("front"), pod("web"), http={"method": "GET", "path": "/x", "host": "b.io"}),
    query(pod("front"), pod("web"), http={"method": "PUT", "path": "/x", "host": "a.io"}),
    query(pod("front"), pod("web")),
    query(pod("web"), outside("192.0.2.1"), 53, "UDP", dns={"query": "A.io."}),
    query(pod("web"), outside("192.0.2.1"), 53, "UDP", dns={"query": "b.io"}),
    query(pod("web"), outside("192.0.2.1", "a.io"), 443),
    query(pod("web"), outside("192.0.2.1", "b.io"), 443),
    query(pod("web"), outside("192.0.2.1"), 8, "ICMP"),
]


def tables(asked: list[Manifest]) -> tuple[pa.Table, pa.Table]:
    """Return queries as QUERIES and PARTIES, an end named again where it comes again."""
    ends: list[Manifest] = []
    rows = []
    for each in asked:
        numbers = []
        for end in (each["src"], each["dst"]):
            if end not in ends:
                ends.append(end)
            numbers.append(ends.index(end))
        http, dns = each.get("http", {}), each.get("dns", {})
        protocol = {"ICMP": "ICMPv4"}.get(each["protocol"], each["protocol"])
        request = [http.get(name) for name in ("method", "path", "host")]
        rows.append([*numbers, protocol, each["port"], *request, dns.get("query")])
    queries = pa.table(dict(zip(schema.QUERIES.names, map(list, zip(*rows, strict=True)), strict=True)))
    return queries.cast(schema.QUERIES), parties(ends)


def parties(ends: list[Manifest]) -> pa.Table:
    """Return PARTIES of ends."""
    columns: dict[str, list[Any]] = {
        "labels": [end["labels"] for end in ends],
        "ip": [end.get("ip") for end in ends],
        "names": [end.get("names", []) for end in ends],
        "named_ports": [[] for _ in ends],
    }
    return pa.table(columns).cast(schema.PARTIES)


def test_requests_and_names_in_columns_are_judged() -> None:
    """HTTP and DNS columns give what the mappings give, null where nothing was asked."""
    rows = POLICIES.evaluate(*tables(ASKED)).to_pylist()
    wanted = POLICIES.verdicts(ASKED)
    asked = ("verdict", "egress", "ingress", "http_allowed", "dns_allowed", "egress_l7", "ingress_l7")
    assert [[answer.get(name) for name in asked] for answer in wanted] == [
        [row[name] for name in asked] for row in rows
    ]
    assert [True, False, False, None] == [row["http_allowed"] for row in rows[:4]]


def test_chunks_and_their_own_dictionaries_do_not_matter() -> None:
    """A table in pieces, each with dictionaries of its own, is judged as the whole."""
    queries, ends = tables(ASKED)
    pieces = [queries.slice(start, 2).combine_chunks() for start in range(0, len(queries), 2)]
    names = [pa.array(piece["protocol"].to_pylist()).dictionary_encode() for piece in pieces]
    turned = [
        piece.set_column(2, queries.schema.field(2), column.cast(queries.schema.field(2).type))
        for piece, column in zip(pieces, names, strict=True)
    ]
    whole = POLICIES.evaluate(queries, ends)
    assert whole.equals(POLICIES.evaluate(pa.concat_tables(turned), ends))


def test_an_empty_table_has_no_verdicts() -> None:
    """No queries, no rows, and the columns are there all the same."""
    empty = POLICIES.evaluate(schema.QUERIES.empty_table(), schema.PARTIES.empty_table())
    assert (0, schema.VERDICTS) == (len(empty), empty.schema)


@pytest.mark.parametrize("text", ["http", "http=eighty", "http=70000/TCP"])
def test_a_named_port_that_is_none_is_refused(text: str) -> None:
    """Named ports in PARTIES are NAME=NUMBER/PROTOCOL."""
    ends = pa.table(
        {"labels": [["k8s:a=b"]] * 2, "ip": [None] * 2, "names": [[]] * 2, "named_ports": [[text], []]}
    )
    queries, _ = tables([query(pod("front"), pod("web"))])
    with pytest.raises(InputError, match="named port"):
        POLICIES.evaluate(queries, ends.cast(schema.PARTIES))


def test_deciders_are_named_with_their_place_in_the_policy() -> None:
    """On demand the entry inside the policy is named, not the policy alone."""
    judgement = POLICIES.judge(queries_of(ASKED[:1]))
    assert judgement.deciders(judgement.ingress, paths=True).to_pylist() == [
        ["CiliumNetworkPolicy/shop/web:spec.ingress[0]"]
    ]
