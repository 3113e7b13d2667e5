"""Why a packet was dropped, in words: what policies do, and what every other reason of Cilium's datapath means.

The reasons are those of ``flowmine.dropreasons`` (Cilium 1.19, ``flow.DropReason``); the texts follow the places in
``bpf/`` that give them. No change of a policy helps against any of them but the first three.
"""

from dataclasses import dataclass
from enum import StrEnum

from flowmine.dropreasons import NAMES

__all__ = ["ADVICE", "Advice", "Cause", "advice_on"]


class Cause(StrEnum):
    """Why a group of drops happened, as far as policies and flows together can tell."""

    NO_RULE = "no rule allows it"
    DENY_RULE = "a deny rule"
    AUTHENTICATION = "authentication"
    REQUEST = "the request"
    GONE = "gone"
    UNRESOLVED = "policy cannot be resolved"
    UNKNOWN = "cannot be told"
    REPLY = "a reply was dropped"
    OTHER = "not policy's doing"

    @property
    def is_policy(self) -> bool:
        """Whether a change of policies is what it takes."""
        return self in (Cause.NO_RULE, Cause.DENY_RULE, Cause.REQUEST)

    @property
    def stands(self) -> bool:
        """Whether policies still refuse it, so that somebody must decide."""
        return self.is_policy or self in (Cause.AUTHENTICATION, Cause.UNRESOLVED, Cause.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Advice:
    """What a drop reason means, and where to look."""

    means: str
    look: str

    def __str__(self) -> str:
        return f"{self.means}: {self.look}"


REPLY = Advice(
    "an answer was dropped, not the call",
    "the connection was unknown by then (idle too long, a restart, an asymmetric route); look at conntrack timeouts",
)
"""A reply is let through by connection tracking, never by a rule."""

_CONNTRACK = "cilium_drop_count_total and `cilium bpf ct list`; raise bpf-ct-global-*-max where maps are full"
_NAT = "`cilium bpf nat list` on the node; raise bpf-nat-global-max where the map is full"
_BUG = "the agent's log on that node, and Cilium's issues for this version"
_ROUTE = "routes and neighbours on the node (`ip route get`, `ip neigh`) and Cilium's routing mode"
_MALFORMED = "capture the packet at the sender (`tcpdump -e`); a broken, forged or truncated frame"
_TUNNEL = "`cilium bpf tunnel list`, and whether the other node is up and known (`cilium node list`)"
_STARTUP = "it ends when the agent has set the endpoint up; if not, `cilium endpoint list` shows which failed"
_IPV6 = "harmless for neighbour discovery and multicast; else the sender's ICMPv6"
_SPOOF = "a pod sends from an address that is not its own: source routing, a VM or VPN inside it, or spoofing"
_SERVICE = "the Service's endpoints (`kubectl get endpointslices`) and `cilium service list`"
_SRV6 = "the SRv6 policies and `cilium bpf srv6 policy`"
_NAT46 = "the pod's and the target's address families, and enable-nat46x64-gateway"

ADVICE: dict[str, Advice] = {
    "DROP_REASON_UNKNOWN": Advice(
        "the capture does not say why", "record drop_reason_desc; until then it counts as a policy's doing"
    ),
    "INVALID_SOURCE_MAC": Advice("the frame's source MAC is not the endpoint's", _SPOOF),
    "INVALID_DESTINATION_MAC": Advice("the frame's destination MAC is not the gateway's", _MALFORMED),
    "INVALID_SOURCE_IP": Advice("the packet's source address is not the endpoint's", _SPOOF),
    "POLICY_DENIED": Advice("no rule allows it in a direction that a policy closed", "the policies of the end named"),
    "INVALID_PACKET_DROPPED": Advice("the packet makes no sense", _MALFORMED),
    "CT_TRUNCATED_OR_INVALID_HEADER": Advice("the packet ends before its headers do", _MALFORMED),
    "CT_MISSING_TCP_ACK_FLAG": Advice("the packet is too large for the path", "MTU of pods, tunnel and network"),
    "CT_UNKNOWN_L4_PROTOCOL": Advice(
        "connection tracking does not know the protocol", "what it is (not TCP, UDP, SCTP or ICMP), and "
        "enable-extended-ip-protocols"
    ),
    "CT_CANNOT_CREATE_ENTRY_FROM_PACKET": Advice("connection tracking cannot be begun by this packet", _CONNTRACK),
    "UNSUPPORTED_L3_PROTOCOL": Advice(
        "the packet is of an address family that is switched off", "enable-ipv4 and enable-ipv6 of Cilium"
    ),
    "MISSED_TAIL_CALL": Advice("a program of the datapath was not there", "often while the agent upgrades; else " + _BUG),
    "ERROR_WRITING_TO_PACKET": Advice("the datapath could not change the packet", _BUG),
    "UNKNOWN_L4_PROTOCOL": Advice("the protocol is none that the datapath handles here", "what the pod sends"),
    "UNKNOWN_ICMPV4_CODE": Advice("an ICMP code that the datapath does not handle", "what the pod sends"),
    "UNKNOWN_ICMPV4_TYPE": Advice("an ICMP type that the datapath does not handle", "what the pod sends"),
    "UNKNOWN_ICMPV6_CODE": Advice("an ICMPv6 code that the datapath does not handle", _IPV6),
    "UNKNOWN_ICMPV6_TYPE": Advice("an ICMPv6 type that the datapath does not handle", _IPV6),
    "ERROR_RETRIEVING_TUNNEL_KEY": Advice("a packet from the tunnel without its key", _TUNNEL),
    "ERROR_RETRIEVING_TUNNEL_OPTIONS": Advice("a packet from the tunnel without its options", _TUNNEL),
    "INVALID_GENEVE_OPTION": Advice("a Geneve option of another kind", _TUNNEL),
    "UNKNOWN_L3_TARGET_ADDRESS": Advice("nobody here has the target address", _ROUTE),
    "STALE_OR_UNROUTABLE_IP": Advice(
        "the address was a pod's that is gone, or not yet there", "whether the caller keeps old addresses (DNS caching)"
    ),
    "NO_MATCHING_LOCAL_CONTAINER_FOUND": Advice("no pod of this node has the address", _STARTUP),
    "ERROR_WHILE_CORRECTING_L3_CHECKSUM": Advice("the datapath could not correct a checksum", _BUG),
    "ERROR_WHILE_CORRECTING_L4_CHECKSUM": Advice("the datapath could not correct a checksum", _BUG),
    "CT_MAP_INSERTION_FAILED": Advice("the table of connections is full", _CONNTRACK),
    "INVALID_IPV6_EXTENSION_HEADER": Advice("an IPv6 extension header that is not taken", _MALFORMED),
    "IP_FRAGMENTATION_NOT_SUPPORTED": Advice("a fragment, and fragments are not tracked", "enable-ipv4-fragment-tracking, MTU"),
    "SERVICE_BACKEND_NOT_FOUND": Advice("the Service has no ready backend", _SERVICE),
    "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT": Advice("no tunnel leads to the target's node", _TUNNEL),
    "FAILED_TO_INSERT_INTO_PROXYMAP": Advice("a translation between IPv4 and IPv6 is needed and off", _NAT46),
    "REACHED_EDT_RATE_LIMITING_DROP_HORIZON": Advice(
        "over the pod's bandwidth limit", "the annotation kubernetes.io/egress-bandwidth"
    ),
    "UNKNOWN_CONNECTION_TRACKING_STATE": Advice("a connection in a state that should not be", _BUG),
    "LOCAL_HOST_IS_UNREACHABLE": Advice("the node itself cannot be reached by this way", _ROUTE),
    "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION": Advice("the endpoint had no policy map yet", _STARTUP),
    "UNSUPPORTED_L2_PROTOCOL": Advice("a frame that is neither IP nor ARP", "what the pod sends (LLDP, IPX, VLAN)"),
    "NO_MAPPING_FOR_NAT_MASQUERADE": Advice("an answer for which no translation is known", _NAT),
    "UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE": Advice("a protocol that cannot be masqueraded", "ip-masq-agent's ranges"),
    "FIB_LOOKUP_FAILED": Advice("the kernel knows no way to the target", _ROUTE),
    "ENCAPSULATION_TRAFFIC_IS_PROHIBITED": Advice("a pod sends tunnel packets itself", "what runs in it; Cilium forbids VXLAN from pods"),
    "INVALID_IDENTITY": Advice("the packet carries an identity that cannot be", _TUNNEL),
    "UNKNOWN_SENDER": Advice("the tunnel's packet is of nobody known", _TUNNEL),
    "NAT_NOT_NEEDED": Advice("a translation was asked for that is not needed", _BUG),
    "IS_A_CLUSTERIP": Advice("a Service's ClusterIP was called from outside", "call it through a LoadBalancer, NodePort or Ingress"),
    "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND": Advice("a fragment came without its first one", "MTU; lost packets on the way"),
    "FORBIDDEN_ICMPV6_MESSAGE": Advice("an ICMPv6 message that pods may not send", _IPV6),
    "DENIED_BY_LB_SRC_RANGE_CHECK": Advice("the caller is not in the Service's loadBalancerSourceRanges", "that list, if the caller is meant"),
    "SOCKET_LOOKUP_FAILED": Advice("no socket listens there for the proxy", "cilium-envoy on that node"),
    "SOCKET_ASSIGN_FAILED": Advice("the packet could not be handed to the proxy's socket", "cilium-envoy on that node"),
    "PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL": Advice(
        "an L7 rule for a protocol that has no proxy", "the L7 rules of the end named: they work on TCP, DNS also on UDP"
    ),
    "POLICY_DENY": Advice("a deny rule of a policy matched", "the deny rules of the end named"),
    "VLAN_FILTERED": Advice("a VLAN that is not let through", "vlan-bpf-bypass of Cilium"),
    "INVALID_VNI": Advice("a packet of a foreign VXLAN network", "the VTEP configuration"),
    "INVALID_TC_BUFFER": Advice("the packet's buffer was invalid", _BUG),
    "NO_SID": Advice("no SRv6 segment for the address", _SRV6),
    "MISSING_SRV6_STATE": Advice("SRv6 state was lost on the way through the datapath", _SRV6),
    "NAT46": Advice("IPv4 could not be translated into IPv6", _NAT46),
    "NAT64": Advice("IPv6 could not be translated into IPv4", _NAT46),
    "AUTH_REQUIRED": Advice(
        "a rule asks for mutual authentication and the two have not done it", "SPIRE and the agents' auth log; the first "
        "packets of a connection are dropped until it is done"
    ),
    "CT_NO_MAP_FOUND": Advice("the table of connections was not there", _CONNTRACK),
    "SNAT_NO_MAP_FOUND": Advice("the table of translations was not there", _NAT),
    "INVALID_CLUSTER_ID": Advice("a cluster id that is none", "cluster-id of the clusters in the mesh"),
    "UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP": Advice("direct server return cannot carry this protocol", "loadBalancer.mode of Cilium"),
    "NO_EGRESS_GATEWAY": Advice("an egress gateway policy matched and no gateway is there", "CiliumEgressGatewayPolicy and its nodes"),
    "UNENCRYPTED_TRAFFIC": Advice("encryption is strict and the packet was plain", "the other node's WireGuard state"),
    "TTL_EXCEEDED": Advice("the packet's time to live ran out", "a routing loop, or a traceroute"),
    "NO_NODE_ID": Advice("the target's node has no id here", _TUNNEL),
    "DROP_RATE_LIMITED": Advice("too many of them at once", "ICMP and similar answers are rate-limited by design"),
    "IGMP_HANDLED": Advice("IGMP, handled by the datapath itself", "nothing: this is no loss"),
    "IGMP_SUBSCRIBED": Advice("IGMP, handled by the datapath itself", "nothing: this is no loss"),
    "MULTICAST_HANDLED": Advice("multicast, handled by the datapath itself", "nothing: this is no loss"),
    "DROP_HOST_NOT_READY": Advice("the node's datapath was not ready", _STARTUP),
    "DROP_EP_NOT_READY": Advice("the endpoint's policy program was not loaded yet", _STARTUP),
    "DROP_NO_EGRESS_IP": Advice("the egress gateway has no address to send from", "CiliumEgressGatewayPolicy and its egressIP"),
    "DROP_PUNT_PROXY": Advice("handed to the proxy by another way", "nothing: this is no loss"),
}  # fmt: skip
"""Hubble's name of each reason -> what it means and where to look."""


def advice_on(reason: str) -> Advice:
    """Return what a drop reason means; one that this version does not know is said to be so.

    >>> advice_on("SERVICE_BACKEND_NOT_FOUND").means
    'the Service has no ready backend'
    """
    known = ADVICE.get(reason)
    if known is not None:
        return known
    newest = f"Cilium 1.19 has {len(NAMES)}"
    return Advice(f"a reason this version does not know ({newest})", "the documentation of the Cilium in use")
