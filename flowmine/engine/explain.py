"""Print a `Trace`: nothing is decided here."""

from collections.abc import Iterator

from flowmine.engine.reasons import Check, EntryTrace, PeerTrace, RuleTrace, SideTrace, Trace

__all__ = ["explain"]

_SIDES = {"egress": "leaving the source", "ingress": "arriving at the destination"}


def explain(trace: Trace, everything: bool = False) -> str:
    """Return a trace as text; with `everything` also the rules that do not select the subject, and why not."""
    lines = [f"{trace.source} -> {trace.destination} {trace.port}: {trace.verdict}"]
    for name, allowed in (("HTTP request", trace.http_allowed), ("DNS query", trace.dns_allowed)):
        if allowed is not None:
            lines.append(f"{name}: {'allowed' if allowed else 'denied'}")
    for side in (trace.egress, trace.ingress):
        lines += ["", *_side(side, everything)]
    return "\n".join(lines) + "\n"


def _side(side: SideTrace, everything: bool) -> Iterator[str]:
    yield f"{side.direction} ({_SIDES[side.direction]}, {side.subject}): {side.outcome}"
    yield f"  {side.reason}"
    if side.parser:
        yield f"  redirected to the {side.parser} proxy"
    for name in side.own:
        yield f"  decided by Cilium's own {name}"
    for rule in side.selecting if not everything else side.rules:
        yield from _rule(rule)
    skipped = len(side.rules) - len(side.selecting)
    if skipped and not everything:
        noun = "other rules do" if skipped > 1 else "other rule does"
        yield f"  {skipped} {noun} not select it"


def _rule(rule: RuleTrace) -> Iterator[str]:
    failing = [check for check in rule.checks if not check.holds]
    if failing:
        yield f"  {rule.policy} {rule.path} does not select it: {'; '.join(map(_check, failing))}"
        return
    told = ", ".join(check.asked for check in rule.checks) or "everything"
    yield f"  {rule.policy} {rule.path} selects it ({told})"
    yield f"    default deny: {'yes' if rule.closes else 'no (enableDefaultDeny is false)'}"
    for entry in rule.entries:
        yield from _entry(entry)


def _entry(entry: EntryTrace) -> Iterator[str]:
    state = "decides" if entry.decides else "matches" if entry.matches else "does not match"
    yield f"    {entry.path} ({'deny' if entry.denies else 'allow'}) {state}"
    if entry.peers is None:
        yield "      peer: anybody"
    elif not entry.peers:
        yield "      peer: nobody (an empty list, or no peers and no ports)"
    for peer in entry.peers or ():
        yield f"      {_mark(peer.holds)} peer: {_peer(peer)}"
    if not entry.ports:
        yield "      no ports at all: matches nothing"
    for check in entry.ports:
        yield f"      {_mark(check.holds)} {check.asked}"
    for check in entry.requests:
        yield f"      {_mark(check.holds)} {check.asked}"


def _peer(peer: PeerTrace) -> str:
    return ", ".join(check.asked if check.holds else _check(check) for check in peer.checks) or "everybody"


def _check(check: Check) -> str:
    return f"{check.asked} (found: {check.found})"


def _mark(holds: bool) -> str:
    return "+" if holds else "-"
