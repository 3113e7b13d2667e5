"""The limits on single values, as the API server and Cilium's agent set them.

Each check returns None, or what is wrong and what to write instead. Sources: the CRDs' patterns, Kubernetes'
`apimachinery/pkg/util/validation`, Go's `net.ParseCIDR` and `netip.ParsePrefix`, and Cilium's `pkg/policy/api`.
"""

import ipaddress
import re
import unicodedata
from typing import Any

from flowmine.policy.portrule import is_port_name, parse_port
from flowmine.policy.problems import shown

__all__ = [
    "ICMP_NAMES_V4",
    "ICMP_NAMES_V6",
    "Network",
    "agent_cidr",
    "agent_port",
    "cidr",
    "dns_name",
    "dns_pattern",
    "gateway_address",
    "gateway_cidr",
    "icmp_type",
    "k8s_port",
    "label_value",
    "namespace_name",
    "object_name",
    "port",
    "printable",
    "qualified_name",
    "server_name",
    "sloppy_network",
    "strict_network",
]

Verdict = tuple[str, str] | None
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_DNS_LABEL = re.compile(_LABEL)
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_NAME = re.compile(r"[-a-zA-Z0-9_]+(\.[-a-zA-Z0-9_]+)*\.?")
_CRD_PORT = re.compile(r"\A[0-9]|[a-zA-Z](-?[a-zA-Z0-9])*\Z")


def label_value(value: str) -> Verdict:
    """Check a label's value: empty, or letters, digits, `-`, `_` and `.`, a letter or digit first and last."""
    if len(value) > 63:
        return (
            f"has {len(value)} characters, more than the 63 of a label",
            "write a value of at most 63 characters",
        )
    if value and not _QUALIFIED.fullmatch(value):
        return (
            f"{shown(value)} is no label value",
            "use letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
        )
    return None


def qualified_name(value: str) -> Verdict:
    """Check a label's key: an optional DNS prefix and `/`, and a name of at most 63 characters."""
    prefix, slash, name = value.rpartition("/")
    fix = "write a key such as app or app.kubernetes.io/name"
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return f"{shown(value)} is no label key: what is before '/' must be a lower-case DNS name", fix
    if len(name) > 63:
        return f"{shown(value)} is no label key: its name has {len(name)} characters, more than 63", fix
    if not _QUALIFIED.fullmatch(name):
        return (
            f"{shown(value)} is no label key: a name has letters, digits, '-', '_' and '.', "
            "and begins and ends with a letter or digit",
            fix,
        )
    return None


def object_name(value: str) -> Verdict:
    """Check an object's name: a DNS subdomain of at most 253 characters."""
    if len(value) > 253:
        return f"has {len(value)} characters, more than 253", "write a shorter name"
    if not _SUBDOMAIN.fullmatch(value):
        return (
            f"{shown(value)} is no object name",
            "use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
        )
    return None


def namespace_name(value: str) -> Verdict:
    """Check a namespace's name: a DNS label of at most 63 characters."""
    if len(value) > 63 or not _DNS_LABEL.fullmatch(value):
        return (
            f"{shown(value)} is no namespace",
            "use at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit",
        )
    return None


def dns_name(value: str) -> Verdict:
    """Check `matchName`: a DNS name of letters, digits, `-`, `_`, single dots between; no wildcard."""
    if _DNS_NAME.fullmatch(value):
        return None
    if "*" in value:
        return (
            f"{shown(value)} has a wildcard, and matchName takes one exact name",
            f"write matchPattern: {shown(value)} instead",
        )
    return (
        f"{shown(value)} is no DNS name",
        "write a name such as api.example.com, without scheme, path or port",
    )


def dns_pattern(value: str) -> Verdict:
    """Check `matchPattern`: a DNS name in which `*` may stand for characters of a label."""
    if _DNS_NAME.fullmatch(value.replace("*", "x")):
        return None
    return (
        f"{shown(value)} is no pattern of DNS names",
        "write a name such as *.example.com; '*' is the only wildcard, and it is no regular expression",
    )


def server_name(value: str) -> Verdict:
    """Check an item of `serverNames`: a DNS name, or one after `*.` or `**.`."""
    rest = value.removeprefix("**.") if value.startswith("**.") else value.removeprefix("*.")
    if _DNS_NAME.fullmatch(rest):
        return None
    return f"{shown(value)} is no server name", "write a name such as www.example.com, or *.example.com"


def printable(value: str) -> Verdict:
    """Check that a text has no control characters (RE2's `\\PC*`)."""
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") for char in value):
        return (
            f"{shown(value)} has a control character",
            "write it without line breaks, tabs and other control characters",
        )
    return None


def sloppy_network(text: str) -> Network | None:
    """Parse a CIDR as the API server does (leading zeros allowed); None where it is none."""
    address, slash, length = text.partition("/")
    if not slash or "%" in address or not re.fullmatch(r"[0-9]{1,6}", length):
        return None
    groups, _, quad = address.rpartition(":")
    octets = quad.split(".")
    if len(octets) == 4 and all(each.isascii() and each.isdigit() for each in octets):
        quad = ".".join(each.lstrip("0") or "0" for each in octets)
        address = f"{groups}:{quad}" if groups else quad
    return _network(address, int(length))


def strict_network(text: str) -> Network | None:
    """Parse a CIDR as Cilium's agent does (`netip.ParsePrefix`: no leading zeros, no zone); None where it is none."""
    address, slash, length = text.rpartition("/")
    if not slash or "%" in address or not re.fullmatch(r"0|[1-9][0-9]{0,2}", length):
        return None
    return _network(address, int(length))


def _network(address: str, length: int) -> Network | None:
    try:
        return ipaddress.ip_network((address, length), strict=False)
    except ValueError:
        return None


def cidr(value: str) -> Verdict:
    """Check a CIDR as the API server does, and tell which slip it is."""
    return None if sloppy_network(value) is not None else _no_cidr(value)


def agent_cidr(value: str) -> Verdict:
    """Check a CIDR as the agent does."""
    return None if strict_network(value) is not None else _no_cidr(value)


def _no_cidr(value: str) -> Verdict:
    reason, fix = _cidr_slip(value)
    return f"{shown(value)} is no CIDR{reason}", fix


def _cidr_slip(value: str) -> tuple[str, str]:
    """Return the reason why a text is no CIDR, and what was likely meant."""
    if len(value) > 64:
        return "", "write an address and a prefix length, such as 10.0.0.0/8 or 2001:db8::/32"
    if value != value.strip():
        return ": there is a space around it", f"write {value.strip()}"
    address, slash, length = value.partition("/")
    octets = address.split(".")
    if not slash and (bits := _address_bits(address)):
        return ": it has no prefix length", f"write {address}/{bits}"
    if address.replace(".", "").isdigit() and len(octets) < 4:
        count = len(octets)
        return (
            f": its address has {count} of the four numbers of an IPv4 address",
            f"write all four, such as {'.'.join([*octets, *['0'] * (4 - count)])}/{min(8 * count, 32)} for the whole "
            "range, or the one address with /32",
        )
    if sloppy_network(value) is not None:
        return (
            ": it has a number with a leading zero, which Cilium's agent refuses",
            "write the numbers without leading zeros",
        )
    if slash and (bits := _address_bits(address)):
        return f": {shown(length)} is no prefix length", _length_meant(address, length, bits)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){3}", address):
        return ": one of its numbers is more than 255", "write numbers from 0 to 255"
    return "", "write an address and a prefix length, such as 10.0.0.0/8 or 2001:db8::/32"


def _length_meant(address: str, length: str, bits: int) -> str:
    try:
        return f"write {address}/{ipaddress.ip_network(f'{address}/{length}', strict=False).prefixlen}"
    except ValueError:
        return f"write a number from 0 to {bits} after '/'"


def _address_bits(text: str) -> int:
    try:
        return ipaddress.ip_address(text).max_prefixlen if "%" not in text else 0
    except ValueError:
        return 0


def gateway_cidr(value: str) -> Verdict:
    """Check a CIDR of an egress gateway policy, whose pattern knows no IPv4 written inside IPv6."""
    if ":" in value and "." in value:
        return (
            f"{shown(value)} is no CIDR that an egress gateway takes",
            "write the address in hexadecimal groups only",
        )
    return agent_cidr(value)


def gateway_address(value: str) -> Verdict:
    """Check the address of an egress gateway: IPv4."""
    if "." in value and _address_bits(value) == 32:
        return None
    return f"{shown(value)} is no IPv4 address", "write an address such as 192.0.2.10"


def port(value: str) -> Verdict:
    """Check `port` of a Cilium rule by the CRD's pattern, which looks at a number's beginning or a name's end only."""
    return None if _CRD_PORT.search(value[:1] + value[1:][-64:]) else _no_port(value)


def agent_port(value: str) -> Verdict:
    """Check `port` as the agent does: a number as text, or a port name."""
    return None if is_port_name(value) or parse_port(value) is not None else _no_port(value)


def _no_port(value: str) -> Verdict:
    fix = "write a number from 0 to 65535 in quotes, or a port name of at most 15 characters"
    if not value:
        return "the port is empty", fix
    if re.fullmatch(r"[0-9]{1,9}", value):
        if int(value) > 65535:
            return f"port {value} is more than 65535", fix
        return (
            f"{shown(value)} is no port: the leading zero makes it an octal number",
            f'write "{int(value)}"',
        )
    if re.fullmatch(r"[0-9]{1,5} ?[-:] ?[0-9]{1,5}", value):
        low, high = re.findall(r"[0-9]+", value)
        return f"{shown(value)} is no port", f'write port: "{low}" and endPort: {high}'
    if re.fullmatch(r"[0-9]{1,5}(, ?[0-9]{1,5})+", value):
        return f"{shown(value)} is no port", "write one item of ports for each"
    return f"{shown(value)} is no port", fix


ICMP_NAMES_V4 = {
    "EchoReply": 0,
    "DestinationUnreachable": 3,
    "Redirect": 5,
    "Echo": 8,
    "EchoRequest": 8,
    "RouterAdvertisement": 9,
    "RouterSelection": 10,
    "TimeExceeded": 11,
    "ParameterProblem": 12,
    "Timestamp": 13,
    "TimestampReply": 14,
    "Photuris": 40,
    "ExtendedEchoRequest": 42,
}
"""ICMP types of IPv4 by the names that both the CRD and the agent know (`pkg/policy/api/icmp.go`)."""

ICMP_NAMES_V6 = {
    "DestinationUnreachable": 1,
    "PacketTooBig": 2,
    "TimeExceeded": 3,
    "ParameterProblem": 4,
    "EchoRequest": 128,
    "EchoReply": 129,
    "MulticastListenerQuery": 130,
    "MulticastListenerReport": 131,
    "MulticastListenerDone": 132,
    "RouterSolicitation": 133,
    "RouterAdvertisement": 134,
    "NeighborSolicitation": 135,
    "NeighborAdvertisement": 136,
    "RedirectMessage": 137,
    "RouterRenumbering": 138,
    "ICMPNodeInformationQuery": 139,
    "ICMPNodeInformationResponse": 140,
    "InverseNeighborDiscoverySolicitation": 141,
    "InverseNeighborDiscoveryAdvertisement": 142,
    "HomeAgentAddressDiscoveryRequest": 144,
    "HomeAgentAddressDiscoveryReply": 145,
    "MobilePrefixSolicitation": 146,
    "MobilePrefixAdvertisement": 147,
    "DuplicateAddressRequestCodeSuffix": 157,
    "DuplicateAddressConfirmationCodeSuffix": 158,
    "ExtendedEchoRequest": 160,
}
"""ICMP types of IPv6, likewise."""


def icmp_type(value: Any) -> Verdict:
    """Check an ICMP type: any 32-bit integer passes, a text must be 0 to 255 or a name of either family."""
    fix = "write a number from 0 to 255, or a name such as EchoRequest"
    if not isinstance(value, str):
        return None if -(2**31) <= value < 2**31 else (f"{value} is no ICMP type", fix)
    if re.fullmatch(r"0|[1-9][0-9]{0,2}", value) and int(value) <= 255:
        return None
    if value in ICMP_NAMES_V4 or value in ICMP_NAMES_V6:
        return None
    return f"{shown(value)} is no ICMP type", fix


def k8s_port(value: Any) -> Verdict:
    """Check `port` of a NetworkPolicy: an integer from 1 to 65535, or a port name."""
    if not isinstance(value, str):
        return None if 1 <= value <= 65535 else (f"{value} is no port", "write a number from 1 to 65535")
    if re.fullmatch(r"[0-9]{1,5}", value):
        return f"{shown(value)} is a number written as a text", f"write {int(value)}, without quotes"
    if len(value) <= 15 and re.fullmatch(r"(?=.*[a-z])[a-z0-9](-?[a-z0-9])*", value):
        return None
    return (
        f"{shown(value)} is no port name",
        "write at most 15 lower-case letters, digits and single '-' between them, with a letter",
    )
