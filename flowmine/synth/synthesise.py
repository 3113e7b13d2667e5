"""From EDGES to policies: the stages of the synthesis in their order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flowmine.edges import Edges
from flowmine.policy.model import Direction
from flowmine.synth.admission import Doorkeeper, LeftOut
from flowmine.synth.assemble import Plan, Proposal, assemble, in_order
from flowmine.synth.baseline import baselines
from flowmine.synth.contacts import Contacts, canonical_ip, gather
from flowmine.synth.dns import dns_rows
from flowmine.synth.framing import Scene, frame_of, look
from flowmine.synth.gateway import GatewayPolicy, gateway_policies
from flowmine.synth.hosts import host_policies
from flowmine.synth.knp import Unsaid, network_policies
from flowmine.synth.noise import Noise, find_noise
from flowmine.synth.options import Options
from flowmine.synth.rules import Frame, draft
from flowmine.synth.scope import Form, Scope, is_system, is_writable
from flowmine.synth.selectors import Choice
from flowmine.synth.standing import Standing, standings, without_bystanders, without_unsaid
from flowmine.synth.traffic import links

__all__ = ["Synthesis", "synthesise"]


@dataclass(frozen=True, slots=True)
class Synthesis:
    """The policies, and all that a person must know to trust them.

    ``standings`` tell of every workload; ``admitted`` are the rows of EDGES that the policies must allow, ``unsaid``
    the entries that the form asked for has no words for.
    """

    scene: Scene
    frame: Frame
    proposals: tuple[Proposal, ...]
    standings: tuple[Standing, ...]
    noise: tuple[Noise, ...]
    left_out: LeftOut
    admitted: frozenset[int]
    unsaid: tuple[Unsaid, ...] = ()
    remarks: tuple[str, ...] = ()
    gateways: tuple[GatewayPolicy, ...] = ()

    def names_of(self, endpoint: int, ip: str) -> tuple[str, ...]:
        """Return the names by which an endpoint's workload asked for an address."""
        place = self.scene.workloads.of.get(endpoint, -1)
        return self.frame.names.get(place, {}).get(canonical_ip(ip), ())


def synthesise(edges: Edges, options: Options, scope: Scope) -> Synthesis:
    """Return the policies that admit what was delivered to and by the workloads in scope, and as little else as can be."""
    scene = look(edges)
    every = list(links(edges.edges, scene.universe, scene.workloads))
    noise = find_noise(every, options, scene.title, dns_rows(edges))
    stands = without_bystanders(standings(edges.seen, scene.workloads, scope), scene.choices, scene.workloads)
    closed = {place: each.closed for place, each in enumerate(stands) if each.closed}
    unwritable = {place for place, each in enumerate(scene.workloads.items) if not is_writable(each)}
    doorkeeper = Doorkeeper(
        scene.universe, scope, {row for each in noise for row in (*each.rows, *each.tried)}, unwritable
    )
    admitted, left_out = doorkeeper.sort(every, closed, scene.title)
    unsaid = {*left_out.unnameable, *left_out.unwritable, *left_out.inexpressible}
    if unsaid:
        stands = without_unsaid(stands, admitted, (link for link in every if link.row in unsaid))
        stands = without_bystanders(stands, scene.choices, scene.workloads)
        closed = {place: each.closed for place, each in enumerate(stands) if each.closed}
        admitted, still = doorkeeper.sort(every, closed, scene.title)
        left_out = replace(left_out, dropped=still.dropped, audited=still.audited)
    frame = frame_of(edges, scene, options, admitted, closed)
    sides = gather(admitted, closed)
    plans = [
        _plan(
            frame,
            place,
            stands[place],
            {side: Contacts.of(side, sides.get((place, side), ())) for side in Direction},
        )
        for place in closed
    ]
    formed = _formed(plans, stands, options, scope)
    if scope.hosts is not None:
        hosts = host_policies(frame, scene.universe, admitted, scope.hosts)
        formed = replace(formed, proposals=in_order((*formed.proposals, *hosts)))
    gateways, nobody = gateway_policies(scene, admitted, scope.gateways)
    told = {row for each in formed.unsaid for row in each.rows}
    return Synthesis(
        scene=scene,
        frame=frame,
        proposals=formed.proposals,
        standings=stands,
        noise=noise,
        left_out=left_out,
        admitted=frozenset(link.row for link in admitted if link.row not in told),
        unsaid=formed.unsaid,
        remarks=(*formed.remarks, *nobody, *scope.unmet(scene.workloads.items)),
        gateways=gateways,
    )


@dataclass(frozen=True, slots=True)
class _Formed:
    """The policies in the form asked for, what that form has no words for, and what a person should know."""

    proposals: tuple[Proposal, ...]
    unsaid: tuple[Unsaid, ...] = ()
    remarks: tuple[str, ...] = ()


def _formed(plans: list[Plan], stands: tuple[Standing, ...], options: Options, scope: Scope) -> _Formed:
    proposals = assemble(plans, scope.per, options.cilium)
    remarks: tuple[str, ...] = ()
    if scope.baseline:
        closing, remarks = baselines(stands)
        proposals = in_order((*proposals, *closing))
    if scope.form is Form.CILIUM:
        return _Formed(proposals, remarks=remarks)
    written, unsaid = network_policies(proposals)
    return _Formed(written, unsaid, remarks)


def _plan(frame: Frame, place: int, standing: Standing, contacts: Mapping[Direction, Contacts]) -> Plan:
    sides = {
        direction: draft(frame, place, direction, contacts[direction])
        for direction in (Direction.INGRESS, Direction.EGRESS)
        if direction in standing.closed
    }
    choice = frame.choices[place]
    return Plan(
        standing.workload, choice.selector, sides, _notes(standing, choice), _quiet(contacts, standing)
    )


def _notes(standing: Standing, choice: Choice) -> tuple[str, ...]:
    workload = standing.workload
    notes = []
    if is_system(workload.namespace):
        notes.append(
            f"WARNING: {workload.namespace} keeps the cluster alive; a gap in what was seen here can stop it"
        )
    if choice.over:
        notes.append(f"no stable label tells it from {', '.join(choice.over)}: the selector takes both")
    if choice.fragile:
        notes.append(
            "its label values were seen to vary: the selector names those seen, another would escape it"
        )
    if workload.aliases:
        notes.append(f"no stable label tells apart {', '.join(workload.aliases)}: one policy for all")
    for direction in Direction:
        if direction not in standing.seen:
            notes.append(f"{direction} stays open: {standing.reason}")
    return tuple(notes)


def _quiet(contacts: Mapping[Direction, Contacts], standing: Standing) -> dict[Direction, str]:
    texts = {
        Direction.INGRESS: "nobody was seen to call it: closed to all but its own node",
        Direction.EGRESS: "it was not seen to call anybody: closed",
    }
    if not contacts[Direction.INGRESS].is_empty:
        texts[Direction.INGRESS] = (
            "only its own node was seen to call it, which is always allowed: closed to all else"
        )
    return {direction: texts[direction] for direction in standing.closed}
