"""Addresses as CIDRs: collapsed without loss, and widened only within a budget of addresses never seen."""

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import inet_ntoa

from flowmine.synth.options import Generalisation, Options

__all__ = ["Address", "Network", "address", "collapse", "is_public", "site"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What nobody on the internet can hold. Documentation ranges are not here: captures stand them for the internet.
_PRIVATE = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
)


@lru_cache(maxsize=131072)
def address(text: str) -> Address | None:
    """Return the address a text holds, an IPv4 one where it is mapped into IPv6; None where it holds none.

    >>> address("::ffff:10.0.0.1"), address("node-1")
    (IPv4Address('10.0.0.1'), None)
    """
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return None
        return found.ipv4_mapped or found
    return found


_PRIVATE_SPANS = {
    version: tuple(
        (int(each.network_address), int(each.broadcast_address))
        for each in _PRIVATE
        if each.version == version
    )
    for version in (4, 6)
}


def is_public(one: Address) -> bool:
    """Tell whether an address can be a stranger's: not private, shared (RFC 6598), unique local or link local."""
    number = int(one)
    return not any(low <= number <= high for low, high in _PRIVATE_SPANS[one.version])


def site(one: Address) -> tuple[int, int]:
    """Return the network by which clients count as related, as its version and number: IPv4 /16, IPv6 /32."""
    return one.version, int(one) >> (16 if one.version == 4 else 96)


@dataclass(frozen=True, slots=True)
class _Block:
    """The CIDR of `size` addresses (a power of two) from `low` on, `seen` of them seen."""

    low: int
    size: int
    seen: int

    @property
    def excess(self) -> int:
        return self.size - self.seen

    def text(self, version: int) -> str:
        if version == 4:
            return f"{inet_ntoa(self.low.to_bytes(4, 'big'))}/{33 - self.size.bit_length()}"
        return str(IPv6Network((self.low, 129 - self.size.bit_length())))


def collapse(
    addresses: Iterable[Address], options: Options
) -> tuple[tuple[str, ...], tuple[Generalisation, ...]]:
    """Return the fewest CIDRs that hold the addresses, and a note on each that holds more.

    Without loss first; then wider ones, the smallest first, each with at least `options.widen_members` addresses
    seen and `options.widen_seen` of it, as long as all together hold at most `options.widen_excess` never seen.

    >>> collapse([ip_address(f"10.0.0.{n}") for n in (4, 5, 6, 7, 9)], Options().exact())[0]
    ('10.0.0.4/30', '10.0.0.9/32')
    """
    unique = set(addresses)
    budget = options.widen_excess if options.widen_members else 0
    cidrs: list[str] = []
    notes: list[Generalisation] = []
    for version in (4, 6):
        exact = _exact(sorted(int(each) for each in unique if each.version == version))
        blocks = _widened(exact, budget, options)
        budget -= sum(block.excess for block in blocks)
        cidrs += (block.text(version) for block in blocks)
        notes += (_note(block, version, options) for block in blocks if block.excess)
    return tuple(cidrs), tuple(notes)


def _exact(numbers: Iterable[int]) -> list[_Block]:
    """The fewest blocks that hold these sorted numbers and no other."""
    blocks: list[_Block] = []
    for number in numbers:
        block = _Block(number, 1, 1)
        while blocks and blocks[-1].size == block.size and blocks[-1].low == block.low ^ block.size:
            block = _Block(blocks.pop().low, 2 * block.size, 2 * block.size)
        blocks.append(block)
    return blocks


def _widened(blocks: list[_Block], budget: int, options: Options) -> list[_Block]:
    """The blocks, neighbours joined under their common supernet wherever that is allowed and paid for."""
    if budget <= 0:
        return blocks
    pairs = itertools.pairwise(blocks)
    for size, low in sorted({_common(one, two) for one, two in pairs}):
        first = bisect_left(blocks, low, key=lambda block: block.low)
        after = bisect_left(blocks, low + size, key=lambda block: block.low)
        inside = blocks[first:after]
        joined = _Block(low, size, sum(block.seen for block in inside))
        cost = joined.excess - sum(block.excess for block in inside)
        enough = joined.seen >= max(options.widen_members, options.widen_seen * size)
        if enough and cost <= budget and len(inside) > 1:
            budget -= cost
            blocks[first:after] = [joined]
    return blocks


def _common(one: _Block, two: _Block) -> tuple[int, int]:
    """The size and the first address of the smallest block that holds both."""
    size = 1 << (one.low ^ (two.low + two.size - 1)).bit_length()
    return size, one.low & -size


def _note(block: _Block, version: int, options: Options) -> Generalisation:
    return Generalisation(
        kind="widen",
        what=block.text(version),
        evidence=f"{block.seen} of its {block.size} addresses seen, {block.excess} never",
        threshold=f"widen_excess={options.widen_excess}",
    )
