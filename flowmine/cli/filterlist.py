"""The filter options of `hubble observe` as the command line lists them; `flowmine.ingest.filters.words` reads them."""

__all__ = ["FLAGS", "OPTIONS"]

_ENDS = ("", "from-", "to-")


def _ends(name: str, short: str, metavar: str, text: str) -> list[tuple[str, str, str, str]]:
    wheres = ("at either end", "at the source", "at the destination")
    return [
        (f"{end}{name}", short if not end else "", metavar, f"{text} {where}.")
        for end, where in zip(_ENDS, wheres, strict=True)
    ]


OPTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("not", "", "", "Turn the next filter into one that leaves events out."),
    *_ends("namespace", "n", "NAMESPACE", "Namespace"),
    *_ends("all-namespaces", "A", "", "Any namespace"),
    *_ends(
        "pod", "", "[NAMESPACE/]PREFIX", "Prefix of a pod's name, in `default` where no namespace is given,"
    ),
    *_ends("label", "l", "SELECTOR", "Label selector (app=web, 'k8s:tier in (a,b)', reserved:world)"),
    *_ends("service", "", "[NAMESPACE/]PREFIX", "Prefix of a Service's name"),
    *_ends("workload", "", "[KIND/]NAME", "Workload"),
    *_ends("identity", "", "ID|NAME", "Security identity (a number, or world, host …)"),
    *_ends("ip", "", "IP|CIDR", "Address"),
    ("snat-ip", "", "IP|CIDR", "Address the source was translated to."),
    *_ends("fqdn", "", "PATTERN", "Domain name (*.example.org)"),
    *_ends("port", "", "PORT", "Port"),
    *_ends("cluster", "", "NAME", "Cluster"),
    ("protocol", "", "NAME", "tcp, udp, sctp, icmp, icmpv4, icmpv6, http, dns or kafka."),
    ("tcp-flags", "", "FLAGS", "All of these TCP flags are set (syn,ack)."),
    (
        "type",
        "t",
        "TYPE[:SUBTYPE]",
        "Kind of event: drop, trace[:to-endpoint …], policy-verdict, l7, trace-sock, capture.",
    ),
    ("verdict", "", "VERDICT", "FORWARDED, DROPPED, AUDIT, REDIRECTED, ERROR, TRACED or TRANSLATED."),
    ("drop-reason-desc", "", "REASON", "Why it was dropped (POLICY_DENIED …)."),
    ("traffic-direction", "", "DIRECTION", "ingress or egress."),
    ("http-status", "", "CODE", "HTTP status, or a prefix of it (404, 5+)."),
    ("http-method", "", "METHOD", "HTTP method."),
    ("http-path", "", "REGEX", "Regular expression found in the path of an HTTP request."),
    ("http-url", "", "REGEX", "Regular expression found in the URL of an HTTP request."),
    ("http-header", "", "NAME:VALUE", "HTTP header."),
    ("ip-version", "", "VERSION", "v4, v6 or none."),
    ("ipv4", "4", "", "IPv4 only."),
    ("ipv6", "6", "", "IPv6 only."),
    ("encrypted", "", "", "Encrypted traffic only."),
    ("unencrypted", "", "", "Unencrypted traffic only."),
    ("node-name", "", "PATTERN", "Node that saw it ([cluster/]node, with *)."),
    ("node-label", "", "SELECTOR", "Labels of the node that saw it."),
    ("interface", "", "NAME", "Network interface."),
    ("uuid", "", "UUID", "The one event with this identifier."),
    ("trace-id", "", "ID", "Trace identifier of an HTTP request."),
    ("ip-trace-id", "", "ID", "IP trace identifier."),
    ("cel-expression", "", "EXPRESSION", "CEL over _flow ('_flow.verdict == Verdict.DROPPED')."),
    ("allowlist", "", "JSON", "FlowFilters as JSON, one of which must match."),
    ("denylist", "", "JSON", "FlowFilters as JSON, none of which may match."),
)
"""Long name, short name, what it takes (empty: nothing) and help of each filter."""

FLAGS = frozenset(name for name, _, metavar, _ in OPTIONS if not metavar)
"""The filters that take no value."""
