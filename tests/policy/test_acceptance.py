"""Many policies at once: taken or not as each of them is."""

from typing import Any

import pytest

from flowmine.policy.acceptance import are_accepted
from flowmine.policy.model import EVERYTHING, Entry, Kind, Operator, Policy, Requirement, Rule, Selector
from flowmine.policy.validate import is_accepted, validate

_GOOD = Selector.of({"app": "web"}, Requirement("tier", Operator.IN, ("a", "b")))

_PEERS = {
    "labels and values": _GOOD,
    "everybody": EVERYTHING,
    "a key alone": Selector((), (Requirement("tier", Operator.EXISTS),)),
    "a label's value of two words": Selector.of({"app": "two words"}),
    "a label's key with a blank": Selector.of({"a b": "web"}),
    "one listed value of two words": Selector((), (Requirement("tier", Operator.IN, ("a", "two words")),)),
    "a listed key with a blank": Selector((), (Requirement("a b", Operator.EXISTS),)),
    "no value where one is needed": Selector((), (Requirement("tier", Operator.IN),)),
    "a value where none is taken": Selector((), (Requirement("tier", Operator.EXISTS, ("a",)),)),
    "no operator": Selector((), (Requirement("tier", "Within", ("a",)),)),
}


def _policy(*entries: Entry, subject: Selector = EVERYTHING, section: str = "ingress") -> Policy:
    sections: dict[str, Any] = {section: entries}
    return Policy(Kind.CNP, "p", rules=(Rule(endpoint_selector=subject, **sections),))


@pytest.mark.parametrize("section", ["ingress", "ingress_deny", "egress", "egress_deny"])
@pytest.mark.parametrize("peer", _PEERS.values(), ids=_PEERS)
def test_peers_are_taken_as_validate_takes_them(peer: Selector, section: str) -> None:
    """A selector of peers is taken at once as it is taken alone, beside others with the same keys, in every section."""
    mine = _policy(Entry(endpoints=(peer, _GOOD)), section=section)
    assert is_accepted(validate(mine)) == are_accepted([_policy(Entry(endpoints=(_GOOD,))), mine])


@pytest.mark.parametrize("section", ["ingress", "ingress_deny", "egress", "egress_deny"])
@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "2001:db8::/32", "10.0.0/8", "10.0.0.1", "010.0.0.0/8", ""])
def test_addresses_are_taken_as_validate_takes_them(cidr: str, section: str) -> None:
    """A CIDR is taken at once as it is taken alone, beside good ones, in every section."""
    mine = _policy(Entry(cidr=(cidr, "192.0.2.0/24")), section=section)
    assert is_accepted(validate(mine)) == are_accepted([_policy(Entry(cidr=("192.0.2.0/24",))), mine])


@pytest.mark.parametrize(
    "refused",
    [
        _policy(Entry(cidr=("10.0.0/8",))),
        _policy(Entry(endpoints=(_GOOD,), entities=("world",))),
        _policy(Entry(endpoints=(_GOOD,)), subject=Selector.of({"app": "two words"})),
    ],
    ids=["a CIDR", "peers of two kinds", "a subject"],
)
def test_what_is_no_selector_of_peers_is_refused_as_well(refused: Policy) -> None:
    """Everything but selectors of peers is checked in each policy."""
    assert not is_accepted(validate(refused))
    assert not are_accepted([_policy(Entry(endpoints=(_GOOD,))), refused])


def test_no_policies_are_taken() -> None:
    """Nothing holds nothing that is refused."""
    assert are_accepted([])
