"""What events tell of policies: who is named in them, how a verdict matched, and exact policies from links."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from tests.cluster.deploy import uuid
from tests.cluster.model import Policy
from tests.cluster.plan import Connection

_L3_ONLY, _L3_L4 = 1, 2


def _found(policies: Sequence[Policy], by: Sequence[str]) -> list[Policy]:
    """Return the policies named ``Kind/namespace/name``, in the order of their names."""
    named = {}
    for policy in policies:
        meta = policy["metadata"]
        named[f"{policy['kind']}/{meta.get('namespace', '')}/{meta['name']}"] = policy
    return [named[name] for name in sorted(set(by)) if name in named]


def references(
    policies: Sequence[Policy], by: Sequence[str], c: Connection, side: str
) -> list[dict[str, Any]]:
    """Return the ``*_allowed_by`` / ``*_denied_by`` list of an event (Cilium 1.17 and later)."""
    shown = []
    for policy in _found(policies, by):
        meta, kind = policy["metadata"], policy["kind"]
        where = {"namespace": meta["namespace"]} if meta.get("namespace") else {}
        labels = [
            f"k8s:io.cilium.k8s.policy.derived-from={kind}",
            f"k8s:io.cilium.k8s.policy.name={meta['name']}",
        ]
        labels += [f"k8s:io.cilium.k8s.policy.namespace={ns}" for ns in where.values()]
        labels += [f"k8s:io.cilium.k8s.policy.uid={uuid(random.Random(kind + meta['name']))}"]
        shown.append({"name": meta["name"], **where, "labels": labels, "revision": "7", "kind": kind})
    return shown


def match_type(policies: Sequence[Policy], by: Sequence[str], side: str) -> int:
    """Return ``policy_match_type``: by identity alone where no rule that matched names a port."""
    for policy in _found(policies, by):
        specs = [policy["spec"]] if "spec" in policy else policy.get("specs", ())
        rules = [rule for spec in specs for key in (side, f"{side}Deny") for rule in spec.get(key) or ()]
        if any("toPorts" in rule or "ports" in rule or "icmps" in rule for rule in rules):
            return _L3_L4
    return _L3_ONLY


def matches_name(selector: str, name: str) -> bool:
    """Tell whether a matchName or matchPattern of a toFQDNs rule fits a name (Cilium's pkg/fqdn/matchpattern)."""
    if selector == "*":
        return True
    text = re.escape(selector.rstrip(".").lower())
    text = text.replace(r"\*\*\.", "([-a-z0-9_]+[.])+").replace(r"\*", "[-a-z0-9_]*")
    return re.fullmatch(text, name.rstrip(".").lower()) is not None
