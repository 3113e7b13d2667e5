"""Contacts: whom each subject talks to, by side."""

from flowmine.policy.model import Direction
from flowmine.synth.contacts import Contacts, gather, rows_of
from flowmine.synth.framing import look
from flowmine.synth.traffic import links
from tests.synth.made import Capture, place, pod

WEB = pod("shop", "", "Deployment/web", app="web")
API = pod("shop", "", "Deployment/api", app="api")
BOTH = frozenset(Direction)


def _links(capture):
    edges = capture.edges()
    scene = look(edges)
    numbers = {item.name: number for number, item in enumerate(scene.workloads.items)}
    return list(links(edges.edges, scene.universe, scene.workloads)), numbers


def test_a_link_counts_on_both_closed_sides_and_on_no_open_one():
    """Both ends need a rule for a connection between two pods, each where it is closed."""
    every, number = _links(
        Capture().talk(WEB, API, 8080).talk(WEB, place("reserved:world", ip="192.0.2.1"), 443)
    )
    found = gather(every, {number["web"]: BOTH, number["api"]: frozenset([Direction.INGRESS])})
    assert {
        (number["web"], Direction.EGRESS): [443, 8080],
        (number["web"], Direction.INGRESS): [],
        (number["api"], Direction.INGRESS): [8080],
    } == {side: sorted(link.port for link in some) for side, some in found.items()}


def test_contacts_are_split_by_edge():
    """A peer on two ports is on either side of a split with the port that is chosen, or not."""
    every, number = _links(Capture().talk(WEB, API, 53).talk(WEB, API, 8080))
    (lookup,) = (link.row for link in every if link.port == 53)
    contacts = Contacts.of(Direction.EGRESS, every)
    chosen, rest = contacts.split(frozenset([lookup]))
    assert [("TCP", 53)] == list(chosen.workloads[number["api"]].rows)
    assert [("TCP", 8080)] == list(rest.workloads[number["api"]].rows)
    assert [lookup] == list(rows_of(chosen.workloads.values()))


def test_contacts_without_the_edges_asked_for_stay_whole():
    """Where none is chosen, nothing is taken apart."""
    every, _ = _links(Capture().talk(WEB, API, 8080))
    contacts = Contacts.of(Direction.INGRESS, every)
    chosen, rest = contacts.split(frozenset([99]))
    assert chosen.is_empty
    assert contacts == rest


def test_links_have_the_ends_and_words_of_their_edges():
    """Equal ends are one object, whichever edge they are of, and an address is told from none."""
    capture = Capture().talk(WEB, API, 8080).talk(API, WEB, 9090, outcome="dropped")
    every, number = _links(capture.talk(WEB, place("reserved:world", ip="192.0.2.1"), 443))
    told = {
        link.port: (link.source.workload, link.target.workload, link.target.ip, link.outcome)
        for link in every
    }
    assert {
        8080: (number["web"], number["api"], "", "delivered"),
        9090: (number["api"], number["web"], "", "dropped"),
        443: (number["web"], -1, "192.0.2.1", "delivered"),
    } == told
    assert 2 == len({id(link.source) for link in every})
