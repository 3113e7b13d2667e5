"""How Hubble's filters match names: domain names, node names and ``namespace/prefix`` (Cilium ``pkg/hubble/filters``)."""

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from flowmine.errors import UsageError

__all__ = ["fqdn_pattern", "namespaced", "node_pattern"]

_RE2: Any = import_module("re2")  # takes no longer for many stars, as Go's own
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


def fqdn_pattern(patterns: Iterable[str]) -> Any:
    """Compile domain name patterns, where ``*`` stands for any run of name characters, dots among them.

    Raise UsageError on an empty pattern or a character that no name holds.
    """
    return _compiled(_fqdn(pattern) for pattern in patterns)


def node_pattern(patterns: Iterable[str]) -> Any:
    """Compile ``[cluster/]node`` patterns for names written ``cluster/node``; an empty part matches anything.

    Raise UsageError where a part is not a domain name pattern, or there are more than two.
    """
    return _compiled(_node(pattern) for pattern in patterns)


def _compiled(expressions: Iterable[str]) -> Any:
    options = _RE2.Options()
    options.log_errors = False
    try:
        return _RE2.compile("|".join(expressions), options)
    except _RE2.error as error:
        raise UsageError(
            f"name patterns too long to be looked for ({error}); name fewer, or write less stars"
        ) from None


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
