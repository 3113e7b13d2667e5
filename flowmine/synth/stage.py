"""Policies on their way into force: seen to do no harm, then audited, then enforced.

| stage   | what the policies do                                                                                    |
|---------|---------------------------------------------------------------------------------------------------------|
| observe | deny nothing (enableDefaultDeny false); only what their rules send through a proxy changes                |
| audit   | as enforced, but the endpoints report denials instead of making them, once the commands beside are run     |
| enforce | deny what they do not allow                                                                               |
"""

from collections.abc import Iterable
from dataclasses import replace

from flowmine.errors import UsageError
from flowmine.policy.model import DefaultDeny, Kind, Operator, Policy, Selector
from flowmine.synth.assemble import Proposal
from flowmine.synth.scope import Stage

__all__ = ["staged"]

_OBSERVE_FROM = (1, 16)


def staged(proposals: Iterable[Proposal], stage: Stage, cilium: tuple[int, int]) -> tuple[Proposal, ...]:
    """Return the proposals for a stage. Raise UsageError where the Cilium version or the kind of policy has no such stage."""
    listed = tuple(proposals)
    if stage is Stage.ENFORCE:
        return listed
    if stage is Stage.AUDIT:
        return tuple(replace(each, notes=(*each.notes, *_commands(each.policy))) for each in listed)
    if cilium < _OBSERVE_FROM:
        raise UsageError(
            "--stage observe needs enableDefaultDeny, which Cilium has from 1.16 on; use --stage audit, or upgrade"
        )
    if any(each.policy.kind is Kind.KNP for each in listed):
        raise UsageError(
            "--stage observe needs Cilium's own policies: a NetworkPolicy always denies (drop --format knp)"
        )
    note = (
        "stage observe: denies nothing, so there are no denials to watch for in Hubble either; "
        "would-be denials come from `flowmine simulate`"
    )
    return tuple(replace(each, policy=_open(each.policy), notes=(*each.notes, note)) for each in listed)


def _open(policy: Policy) -> Policy:
    rules = (
        replace(
            rule,
            enable_default_deny=DefaultDeny(
                ingress=None if rule.ingress is None else False,
                egress=None if rule.egress is None else False,
            ),
        )
        for rule in policy.rules
    )
    return replace(policy, rules=tuple(rules))


def _commands(policy: Policy) -> Iterable[str]:
    """Yield what to run before the policy is applied, so that its endpoints report denials and make none."""
    yield (
        "stage audit: run this before applying it; layers 3 and 4 only, and lost when an agent restarts, "
        "so apply, watch (hubble observe --verdict AUDIT) and enforce soon (PolicyAuditMode=Disabled)"
    )
    if policy.kind is Kind.CCNP:
        yield (
            "kubectl -n kube-system get pods -l k8s-app=cilium -o name | while read agent; do "
            "kubectl -n kube-system exec -c cilium-agent $agent -- sh -c 'cilium-dbg endpoint config "
            "$(cilium-dbg endpoint get -l reserved:host -o jsonpath={[0].id}) PolicyAuditMode=Enabled'; done"
        )
        return
    for selector in _selectors(policy):
        pods = f"kubectl -n {policy.namespace} get pods{_asked(selector)}"
        yield (
            f"{pods} -o jsonpath='{{range .items[*]}}{{.metadata.name}} {{.spec.nodeName}}{{\"\\n\"}}{{end}}' "
            "| while read pod node; do kubectl -n kube-system exec -c cilium-agent "
            "$(kubectl -n kube-system get pods -l k8s-app=cilium --field-selector spec.nodeName=$node -o name) -- "
            f"cilium-dbg endpoint config $(kubectl -n {policy.namespace} get ciliumendpoint $pod "
            "-o jsonpath='{.status.id}') PolicyAuditMode=Enabled; done"
        )


def _selectors(policy: Policy) -> Iterable[Selector]:
    if policy.network_policy is not None:
        yield policy.network_policy.pod_selector
    for rule in policy.rules:
        if rule.endpoint_selector is not None:
            yield rule.endpoint_selector


def _asked(selector: Selector) -> str:
    """Return a selector as kubectl's option `-l`, nothing where it selects all."""
    parts = [f"{key}={value}" for key, value in selector.match_labels]
    for each in selector.match_expressions:
        listed = ",".join(each.values)
        parts.append(
            {
                Operator.IN: f"{each.key} in ({listed})",
                Operator.NOT_IN: f"{each.key} notin ({listed})",
                Operator.EXISTS: each.key,
                Operator.DOES_NOT_EXIST: f"!{each.key}",
            }[Operator(each.operator)]
        )
    return f" -l '{','.join(parts)}'" if parts else ""
