"""The canonical order of what is a set in a policy, so that equal meaning is equal value and equal bytes."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from operator import lt
from typing import Any, TypeVar

__all__ = ["address_key", "distinct", "distinct_cidrs", "pairs", "sort_key"]

T = TypeVar("T")


def sort_key(value: Any) -> tuple[Any, ...]:
    """Return a key that orders any model value: numbers before text, lists and objects by their parts, absent last."""
    if value is None:
        return (5,)
    if isinstance(value, int):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, tuple):
        return (3, *map(sort_key, value))
    return _object_key(value)


@lru_cache(maxsize=8192)
def _object_key(value: Any) -> tuple[Any, ...]:
    """Return the key of an object; an entry's peers are sorted each time that it is made anew."""
    kind: Any = type(value)
    return (4, *[sort_key(getattr(value, name)) for name in _names(kind)])


@cache
def _names(kind: Any) -> tuple[str, ...]:
    if not is_dataclass(kind):
        raise TypeError(f"a policy holds no {kind.__name__}")
    return tuple(each.name for each in fields(kind))


def distinct(items: Iterable[T]) -> tuple[T, ...]:
    """Return the items, of one type, sorted and each once; a type may have a quicker `sort_key` of its own, in the same order."""
    found = tuple(items)
    if len(found) < 2:
        return found
    if all(type(each) is str for each in found):
        return tuple(sorted(set(found)))  # type: ignore[type-var]
    key: Callable[[T], tuple[Any, ...]] | None = getattr(type(found[0]), "sort_key", None)
    if key is None:
        return tuple(dict.fromkeys(sorted(found, key=sort_key)))
    keys = [key(each) for each in found]
    if all(map(lt, keys, keys[1:])):
        return found
    known = dict(zip(keys, found, strict=True))
    return tuple([known[each] for each in sorted(known)])


def distinct_cidrs(texts: Iterable[str]) -> tuple[str, ...]:
    """Return CIDRs by family, address and length, each spelling once; what is no CIDR comes last."""
    found = tuple(texts)
    return found if len(found) < 2 else tuple(sorted(set(found), key=address_key))


@lru_cache(maxsize=65536)
def address_key(text: str) -> tuple[int, int, int, str]:
    """Return a key that orders CIDRs and addresses as numbers: (family, address, prefix length, text)."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return (9, 0, 0, text)
    return (network.version, int(network.network_address), network.prefixlen, text)


def pairs(items: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return a mapping of texts as sorted pairs."""
    return tuple(sorted((items if isinstance(items, Mapping) else dict(items)).items()))
