"""Any policy survives its manifests, and its YAML is the same bytes that any reader understands."""

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmine.policy import model
from flowmine.policy.codec import from_dict, from_yaml, to_dict, to_yaml
from flowmine.policy.validate import validate

# Half plain words, half whatever Unicode holds: readers of YAML take both.
texts = st.sampled_from(
    ["a", "web", "yes", "on", "null", "1", "0x1f", "1e3", "10.0.0.0/8", "12:30", "k8s:app", "", "a: b"]
) | (st.text(st.characters(codec="utf-8"), max_size=8))
maybe = lambda strategy: st.none() | strategy  # noqa: E731
ports = st.integers(0, 65535)


def tuples(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


labels = st.dictionaries(texts, texts, max_size=2).map(lambda found: tuple(found.items()))
requirements = st.builds(
    model.Requirement, texts, st.sampled_from([*map(str, model.Operator), "Gt"]), tuples(texts)
)
selectors = st.builds(model.Selector, labels, tuples(requirements, 2))
cidrs = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "9.0.0.1/32", "2001:db8::/32", "nonsense"])
fqdns = st.builds(model.FqdnSelector, maybe(texts), maybe(texts))
secrets = st.builds(model.Secret, maybe(texts), maybe(texts))
tls = st.builds(model.TlsContext, maybe(secrets), maybe(texts), maybe(texts), maybe(texts))
headers = st.builds(model.HeaderMatch, maybe(texts), maybe(texts), maybe(texts), maybe(secrets))
http = st.builds(
    model.HttpRule, maybe(texts), maybe(texts), maybe(texts), tuples(texts, 2), tuples(headers, 2)
)
kafka = st.builds(model.KafkaRule, maybe(texts), maybe(texts), maybe(texts), maybe(texts), maybe(texts))
l7 = st.builds(
    model.L7Rules,
    maybe(tuples(http, 2)),
    maybe(tuples(kafka, 2)),
    maybe(tuples(fqdns)),
    maybe(texts),
    maybe(tuples(labels, 2)),
)
listeners = st.builds(
    model.Listener,
    maybe(st.builds(model.EnvoyConfig, maybe(texts), maybe(texts))),
    maybe(texts),
    maybe(st.integers(1, 100)),
)
port_protocols = st.builds(model.PortProtocol, maybe(texts | ports.map(str)), maybe(texts), maybe(ports))
allow_ports = st.builds(
    model.PortRule, tuples(port_protocols), maybe(tls), maybe(tls), tuples(texts), maybe(listeners), maybe(l7)
)
deny_ports = st.builds(model.PortRule, tuples(port_protocols))
icmps = st.builds(
    model.IcmpRule,
    tuples(
        st.builds(model.IcmpField, st.integers(-1, 300) | texts, maybe(st.sampled_from(["IPv4", "IPv6"])))
    ),
)
cidr_rules = st.builds(model.CidrRule, maybe(cidrs), maybe(texts), maybe(selectors), tuples(cidrs))
services = st.builds(
    model.Service,
    maybe(st.builds(model.K8sService, maybe(texts), maybe(texts))),
    maybe(st.builds(model.K8sServiceSelector, maybe(selectors), maybe(texts))),
)
groups = st.builds(
    model.Group, maybe(st.builds(model.AwsGroup, labels, maybe(texts), tuples(texts), tuples(texts)))
)


@st.composite
def entries(draw: st.DrawFn, section: model.Section) -> model.Entry:
    """Draw an entry of a section with at most two kinds of peer, for more is not what is tested here."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "endpoints": selectors,
        "entities": texts,
        "cidr": cidrs,
        "cidr_set": cidr_rules,
        "nodes": selectors,
        "groups": groups,
        "requires": texts,
    }
    if section.direction is model.Direction.EGRESS:
        kinds["services"] = services
        if not section.denies:
            kinds["fqdns"] = fqdns
    drawn = draw(st.sets(st.sampled_from(sorted(kinds)), max_size=2))
    given_ = {kind: draw(tuples(kinds[kind])) for kind in sorted(drawn)}
    if not section.denies:
        given_["authentication"] = draw(maybe(texts))
    port_rules = maybe(tuples(deny_ports if section.denies else allow_ports, 2))
    return model.Entry(**given_, to_ports=draw(port_rules), icmps=draw(maybe(tuples(icmps, 2))))


rules = st.builds(
    model.Rule,
    maybe(selectors),
    maybe(selectors),
    *(maybe(tuples(entries(section), 2)) for section in model.Section),
    maybe(st.builds(model.DefaultDeny, maybe(st.booleans()), maybe(st.booleans()))),
    maybe(texts),
    tuples(st.builds(model.RuleLabel, texts, maybe(texts), maybe(texts)), 2),
    maybe(texts),
)
names = texts.filter(bool)
cilium_policies = st.builds(
    model.Policy,
    st.sampled_from([model.Kind.CNP, model.Kind.CCNP]),
    texts,
    maybe(names),
    tuples(rules, 2),
    st.none(),
    labels,
    labels,
    maybe(names),
)
k8s_peers = st.builds(
    model.K8sPeer, maybe(selectors), maybe(selectors), maybe(st.builds(model.IpBlock, cidrs, tuples(cidrs)))
)
k8s_ports = st.builds(model.K8sPort, maybe(texts), maybe(ports | texts), maybe(ports))
k8s_entries = tuples(st.builds(model.K8sEntry, tuples(k8s_peers), tuples(k8s_ports)), 2)
k8s_specs = st.builds(model.NetworkPolicySpec, selectors, tuples(texts, 2), k8s_entries, k8s_entries)
k8s_policies = st.builds(
    model.Policy, st.just(model.Kind.KNP), texts, maybe(names), st.just(()), k8s_specs, labels
)
cidr_groups = st.builds(model.CidrGroup, texts, tuples(cidrs), labels, labels)
policies = cilium_policies | k8s_policies | cidr_groups

thorough = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@thorough
@given(policy=policies)
def test_manifests_keep_policies(policy: model.Policy | model.CidrGroup) -> None:
    """A policy's manifest decodes to the policy, and that to the same manifest."""
    manifest = to_dict(policy)
    decoded = from_dict(manifest)
    assert policy == decoded
    assert manifest == to_dict(decoded)


@thorough
@given(policy=policies)
def test_yaml_keeps_policies(policy: model.Policy | model.CidrGroup) -> None:
    """A policy's YAML decodes to the policy, is written again with the same bytes, and reads alike elsewhere."""
    text = to_yaml(policy)
    assert (policy,) == from_yaml(text)
    assert text == to_yaml(from_yaml(text)[0])
    assert to_dict(policy) == yaml.safe_load(text)


@thorough
@given(policy=policies, comment=st.text(max_size=30), data=st.data())
def test_comments_change_nothing(
    policy: model.Policy | model.CidrGroup, comment: str, data: st.DataObject
) -> None:
    """A comment of any text at any path leaves the policy as it is."""
    path = data.draw(st.sampled_from(list(paths_of(to_dict(policy), ()))))
    text = to_yaml(policy, {path: comment})
    assert (policy,) == from_yaml(text.encode("utf-8"))


def paths_of(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    """Return every path within a manifest."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in paths_of(item, (*path, key)))]


@thorough
@given(policy=cilium_policies, seed=st.randoms(use_true_random=False))
def test_order_of_sets_is_no_matter(policy: model.Policy, seed: Any) -> None:
    """Peers, ports and labels in another order decode to the same policy."""
    manifest = shuffled(to_dict(policy), seed)
    assert policy == from_dict(manifest)


ORDERED = {
    "ingress",
    "egress",
    "ingressDeny",
    "egressDeny",
    "specs",
    "toPorts",
    "icmps",
    "http",
    "kafka",
    "l7",
    "headers",
    "headerMatches",
}


def shuffled(value: Any, seed: Any, name: str = "") -> Any:
    """Return a manifest with the fields of its objects, and the items of its sets, in another order."""
    if isinstance(value, dict):
        keys = list(value)
        seed.shuffle(keys)
        return {key: shuffled(value[key], seed, key) for key in keys}
    if isinstance(value, list):
        items = [shuffled(item, seed) for item in value]
        if name not in ORDERED:
            seed.shuffle(items)
        return items
    return value


@thorough
@given(policy=policies)
def test_validation_never_fails_and_edits_nothing(policy: model.Policy | model.CidrGroup) -> None:
    """Validation has an answer to any manifest, gives it twice, and leaves the manifest alone."""
    manifest = to_dict(policy)
    before = to_yaml(policy)
    assert validate(manifest) == validate(policy)
    assert before == to_yaml(from_dict(manifest))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@thorough
@given(policy=policies, value=json_values, data=st.data())
def test_validation_withstands_anything(
    policy: model.Policy | model.CidrGroup, value: Any, data: st.DataObject
) -> None:
    """Whatever stands at some place of a manifest, validation answers, and what it accepts can be decoded."""
    manifest = to_dict(policy)
    path = data.draw(st.sampled_from([each for each in paths_of(manifest, ()) if each]))
    place: Any = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    for unknown in ("error", "prune"):
        problems = validate(manifest, unknown=unknown)  # type: ignore[arg-type]
        if all(problem.severity == "warning" for problem in problems):
            from_dict(manifest, unknown=unknown)  # type: ignore[arg-type]
