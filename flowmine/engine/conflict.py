"""Rules that Cilium cannot resolve together: then the endpoint's whole policy fails and its old state stays.

Filters merge for the same selector, port and protocol only (Cilium `pkg/policy/rule.go` mergePortProto, SEMANTICS 36
and 37); a deny there ends all else.
"""

from collections import defaultdict
from collections.abc import Iterable

from flowmine.engine.index import AUTHENTICATION, DENY, Index, Ints

__all__ = ["conflict"]

_ANYBODY = (-1,)


def conflict(index: Index, rows: Ints) -> str:
    """Return why the entries behind some rows of one direction cannot be resolved together, empty where they can."""
    special = (index.rows.precedence[rows] > 0) | (index.rows.authentication[rows] > 0)
    if int(special.sum()) < 2:
        return ""
    merged: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for row in rows:
        term = index.terms[row]
        peers = int(index.rows.peers[row])
        for selector in _ANYBODY if peers < 0 else index.peer_lists[peers]:
            merged[(term.protocols, term.low, term.high, term.name, term.end, selector)].append(int(row))
    for same in merged.values():
        found = _merge(index, same) if len(same) > 1 else ""
        if found:
            return found
    return ""


def _merge(index: Index, rows: list[int]) -> str:
    if any(index.rows.precedence[row] == DENY for row in rows):
        return ""
    modes = {AUTHENTICATION[code] for code in index.rows.authentication[rows] if code}
    if len(modes) > 1:
        return f"cannot merge conflicting authentication types ({'/'.join(sorted(map(str, modes)))})"
    redirects = (index.terms[row].redirect for row in rows)
    return _merge_parsers(each.parser for each in redirects if each)


def _merge_parsers(parsers: Iterable[str]) -> str:
    """Merge parsers: TLS gives way to any other, but not to DNS (Cilium L7ParserType.Merge)."""
    distinct = set(parsers)
    if len(distinct) > 1 and "dns" not in distinct:
        distinct.discard("tls")
    if len(distinct) > 1:
        return f"cannot merge conflicting L7 parsers ({'/'.join(sorted(distinct))})"
    return ""
