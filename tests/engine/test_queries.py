"""Batches of connections."""

import numpy as np

from flowmine.engine.queries import queries_of


def test_a_part_holds_the_same_queries_and_no_other_parties() -> None:
    """Of some queries' places, a part has these queries in that order, with the parties that they name."""
    pods = [{"labels": [f"k8s:app={name}"]} for name in "abcd"]
    items = [
        {"src": pods[number], "dst": pods[number + 1], "protocol": "TCP", "port": number}
        for number in range(3)
    ]
    items[2]["dns"] = {"query": "example.com"}
    part, alone = queries_of(items).part(np.array([2, 1])), queries_of([items[2], items[1]])
    told = [
        [
            (
                each.parties[source],
                each.parties[target],
                protocol,
                port,
                each.names[name] if name >= 0 else None,
            )
            for source, target, protocol, port, name in zip(
                each.source, each.destination, each.protocol, each.port, each.name, strict=True
            )
        ]
        for each in (part, alone)
    ]
    assert told[0] == told[1]
    assert sorted(map(str, part.parties)) == sorted(map(str, alone.parties))


def test_a_part_may_be_empty() -> None:
    """No places, no queries and no parties."""
    part = queries_of([{"src": {}, "dst": {}, "protocol": "TCP", "port": 1}]).part(np.zeros(0, np.int64))
    assert (len(part), part.parties) == (0, ())
