"""What `Flows.recommend` is asked, as keywords: fields of the synthesis's options and of its scope, by their own names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from ipaddress import ip_network
from typing import Any

from flowmine.errors import UsageError
from flowmine.ledger import Ledger
from flowmine.policy.labelselector import parse_selector
from flowmine.policy.model import Selector
from flowmine.policy.versions import oldest_version, parse_version
from flowmine.synth.options import Known, Options
from flowmine.synth.scope import Form, Gateway, Per, Scope, Stage

__all__ = ["options_and_scope", "version_of"]


def options_and_scope(asked: Mapping[str, Any], ledger: Ledger) -> tuple[Options, Scope]:
    """Return what keywords ask for; ``cilium`` is by default the version that made the capture.

    Raise UsageError for a name that is none, and a value that is not of its kind.
    """
    wanted = dict(asked)
    options = Options().exact() if wanted.pop("exact", False) else Options()
    if "namespace" in wanted:
        wanted["namespaces"] = wanted.pop("namespace")
    version = version_of(wanted.pop("cilium", None), ledger)
    names: tuple[set[str], set[str]] = (
        {each.name for each in fields(Options)},
        {each.name for each in fields(Scope)},
    )
    if unknown := sorted(wanted.keys() - names[0] - names[1]):
        known = ", ".join(sorted({"exact", *names[0], *names[1]}))
        raise UsageError(f"recommend takes no {unknown[0]} (known: {known})")
    values = {name: _value(name, value) for name, value in wanted.items()}
    chosen = {name: value for name, value in values.items() if name in names[0]}
    scope = Scope(**{name: value for name, value in values.items() if name in names[1]})
    return replace(options, cilium=version, **chosen), scope


def version_of(asked: str | None, ledger: Ledger) -> tuple[int, int]:
    """Return the version to write for: the one asked for, else the oldest in the capture, else the newest known.

    Raise UsageError where it is none.
    """
    return parse_version(asked) if asked else oldest_version(ledger.versions) or Options().cilium


def _value(name: str, value: Any) -> Any:
    """Return a value as its field has it. Raise UsageError where it is not of its kind."""
    if name in _MAKERS:
        return _MAKERS[name](value)
    kind: type[Any] = type(getattr(Options() if hasattr(Options(), name) else Scope(), name))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"{name}={value!r}: {name} is a {kind.__name__}")
    if kind in (int, float) and value < 0:
        raise UsageError(f"{name}={value!r}: {name} cannot be negative")
    return value


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _layers(value: str | Iterable[str]) -> tuple[str, ...]:
    layers = _texts(value)
    if unknown := sorted(set(layers) - {"http", "dns"}):
        raise UsageError(f"l7 takes http and dns, not {', '.join(unknown)}")
    return layers


def _lookups(value: str) -> str:
    if value not in ("any", "strict"):
        raise UsageError(f"dns={value!r}: any or strict")
    return value


def _selectors(value: str | Iterable[str]) -> tuple[Selector, ...]:
    return tuple(map(parse_selector, _texts(value)))


def _hosts(value: str | bool | None) -> Selector | None:
    return parse_selector("*" if value is True else value) if value else None


def _known(value: Mapping[str, str | Iterable[str]]) -> tuple[Known, ...]:
    if not isinstance(value, Mapping):
        raise UsageError("known is a mapping of names to a CIDR or several: {'vpn': '172.27.224.3/32'}")
    return tuple(sorted(Known(_cidr(block), name) for name, some in value.items() for block in _texts(some)))


def _gateways(value: Mapping[str, str]) -> tuple[Gateway, ...]:
    if not isinstance(value, Mapping):
        raise UsageError(
            "gateways is a mapping of CIDRs to node selectors: {'10.0.4.0/24': 'egress-gw=true'}"
        )
    return tuple(Gateway(_cidr(block), parse_selector(nodes)) for block, nodes in value.items())


def _cidr(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from error


def _member(kind: type[Per] | type[Form] | type[Stage]) -> Callable[[str], Any]:
    def make(value: str) -> Any:
        try:
            return kind(value)
        except ValueError as error:
            known = ", ".join(each.value for each in kind)
            raise UsageError(f"{value!r} is none of {known}") from error

    return make


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "namespaces": _texts,
    "exclude": _texts,
    "dropped": _selectors,
    "per": _member(Per),
    "form": _member(Form),
    "stage": _member(Stage),
    "hosts": _hosts,
    "gateways": _gateways,
    "known": _known,
    "l7": _layers,
    "dns": _lookups,
}
