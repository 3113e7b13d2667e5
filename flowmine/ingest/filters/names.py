"""How Hubble's filters match names: domain names, node names and ``namespace/prefix`` (Cilium ``pkg/hubble/filters``)."""

import re
from collections.abc import Iterable

from flowmine.errors import UsageError

__all__ = ["fqdn_pattern", "namespaced", "node_pattern"]

_ANY_NAME = r"(?:[-0-9_a-z]+(?:\.[-0-9_a-z]+)*)"


def namespaced(text: str) -> tuple[str, str]:
    """Split ``[namespace/]prefix``; without a slash the namespace is ``default`` (``pkg/hubble/k8s``).

    An empty namespace before the slash is any namespace. Raise UsageError on empty text.
    """
    namespace, slash, rest = text.partition("/")
    if slash:
        return namespace, rest.partition("/")[0]
    if not namespace:
        raise UsageError("an empty pod or service name; write [namespace/][name prefix]")
    return "default", namespace


def fqdn_pattern(patterns: Iterable[str]) -> re.Pattern[str]:
    """Compile domain name patterns, where ``*`` stands for any run of name characters, dots among them.

    Raise UsageError on an empty pattern or a character that no name holds.
    """
    return re.compile("|".join(_fqdn(pattern) for pattern in patterns))


def node_pattern(patterns: Iterable[str]) -> re.Pattern[str]:
    """Compile ``[cluster/]node`` patterns for names written ``cluster/node``; an empty part matches anything.

    Raise UsageError where a part is not a domain name pattern, or there are more than two.
    """
    return re.compile("|".join(_node(pattern) for pattern in patterns))


def _fqdn(pattern: str) -> str:
    text = pattern.strip().removesuffix(".").lower()
    if not text or text.endswith("."):
        raise UsageError(f"{pattern!r} is no name pattern: it is empty or ends in dots")
    bad = re.search(r"[^-_.*0-9a-z]", text)
    if bad:
        raise UsageError(f"{pattern!r} is no name pattern: {bad[0]!r} is not a letter, digit, -, _, . or *")
    return text.replace(".", r"\.").replace("*", "[-.0-9a-z]*")


def _node(pattern: str) -> str:
    if not pattern or pattern.count("/") > 1:
        raise UsageError(f"{pattern!r} is no node name pattern: write [cluster/]node")
    cluster, _, node = pattern.rpartition("/")
    return "/".join(_fqdn(part) if part else _ANY_NAME for part in (cluster, node))
