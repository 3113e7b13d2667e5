"""Merging into what people wrote: only what is missing is added, and nothing of theirs is opened or changed."""

from pathlib import Path

import pytest

from flowmine.advise.recommend import recommend
from flowmine.policy.merge import read_folder
from flowmine.synth.options import Options
from flowmine.synth.scope import Per, Scope
from tests.advise.merging import API, DB, HEAD, ONLY_API, OUTSIDE, WEB, hand, run, verdict, with_requests
from tests.synth.made import Capture, pod


def test_an_empty_folder_gets_every_policy(tmp_path: Path) -> None:
    """Without files every subject gets its own, and they are those that recommend would write."""
    capture = Capture().talk(WEB, API, 80)
    done = run(capture, tmp_path / "new")
    assert ["shop/api.yaml", "shop/web.yaml"] == sorted(done.texts)
    expected = recommend(capture.edges(), scope=Scope(namespaces=("shop",))).policies
    assert sorted(map(str, expected)) == sorted(map(str, read_folder(tmp_path / "new").policies))


def test_what_is_missing_goes_into_the_file_of_the_same_pods(tmp_path: Path) -> None:
    """The entry for the new caller is added below the hand-written one, in the file, which keeps its comments."""
    path = hand(tmp_path, "db", f"{ONLY_API}  # who else?\n  egress:\n  - {{}}\n")
    before = path.read_text()
    done = run(Capture().talk(API, DB, 5432).talk(WEB, DB, 5432), tmp_path, scope=Scope(namespaces=("shop",)))
    entry = """\
  - fromEndpoints:
    - matchLabels:
        app: web
    toPorts:
    - ports:
      - port: "5432"
        protocol: TCP
"""
    assert before != path.read_text()
    assert before.replace("  # who else?\n", f"{entry}  # who else?\n") == path.read_text()
    assert {"db.yaml", "api.yaml", "web.yaml"} == set(done.texts)


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """After a merge everything is covered: no file is touched, every rule was there already."""
    hand(tmp_path, "db", ONLY_API)
    capture = Capture().talk(API, DB, 5432).talk(WEB, DB, 5432).talk(WEB, OUTSIDE, 443)
    first = run(capture, tmp_path)
    assert first.made
    second = run(capture, tmp_path)
    assert ([], second.plan.wished) == (second.made, second.plan.covered)


def test_what_broader_policies_cover_is_not_added(tmp_path: Path) -> None:
    """Policies of all kinds that let it through, and close the pods, leave nothing to add."""
    everything = HEAD.replace("    matchLabels:\n      app: NAME\n", "    {}\n")
    hand(tmp_path, "all", "  ingress:\n  - fromEndpoints:\n    - {}\n  egress:\n  - {}\n", everything)
    knp = (
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: out, namespace: shop}, "
        "spec: {podSelector: {}, policyTypes: [Egress], egress: [{}]}}"
    )
    (tmp_path / "knp.yaml").write_text(knp)
    done = run(Capture().talk(WEB, API, 80).talk(WEB, OUTSIDE, 443), tmp_path)
    assert ([], 3) == (done.made, done.plan.covered)


def test_a_policy_for_all_pods_is_not_extended(tmp_path: Path) -> None:
    """A rule for every pod of the namespace stays as it is, even where only one was seen: the pod gets its own."""
    everything = HEAD.replace("    matchLabels:\n      app: NAME\n", "    {}\n")
    path = hand(tmp_path, "all", "  ingress: [{}]\n  egress: [{}]\n", everything)
    before = path.read_text()
    done = run(Capture().talk(WEB, OUTSIDE, 443), tmp_path)
    assert {"web.yaml"} == set(done.texts)
    assert before == path.read_text()
    assert "ingress" not in done.texts["web.yaml"]


def test_a_baseline_closes_pods_that_were_not_seen(tmp_path: Path) -> None:
    """A namespace's baseline is added where pods yet to come would stay open, though all that were seen are closed."""
    hand(tmp_path, "web", "  ingress: [{}]\n  egress:\n  - toCIDR: [203.0.113.7/32]\n")
    scope = Scope(namespaces=("shop",), baseline=True)
    capture = Capture().talk(WEB, OUTSIDE, 443)
    done = run(capture, tmp_path, scope=scope)
    assert {"default-deny.yaml"} == set(done.texts)
    assert "denied" == verdict(tmp_path, pod("shop", app="later"), OUTSIDE, 443)
    assert [] == run(capture, tmp_path, scope=scope).made


def test_a_baseline_that_a_person_wrote_is_one(tmp_path: Path) -> None:
    """A person's policy for every pod is completed by the direction that it leaves open, and no second one is written."""
    everything = HEAD.replace("    matchLabels:\n      app: NAME\n", "    {}\n")
    path = hand(tmp_path, "closed", "  ingress: [{}]\n", everything)
    scope = Scope(namespaces=("shop",), baseline=True)
    done = run(Capture().talk(WEB, OUTSIDE, 443), tmp_path, scope=scope)
    assert {"closed.yaml", "web.yaml"} == set(done.texts)
    assert path.read_text().endswith("  ingress: [{}]\n  egress:\n  - {}\n")
    assert [] == run(Capture().talk(WEB, OUTSIDE, 443), tmp_path, scope=scope).made


def test_http_rules_of_a_person_are_not_opened(tmp_path: Path) -> None:
    """A rule for two callers is written for the one that is missing: the other's requests stay filtered."""
    rest = (
        "  ingress:\n  - fromEndpoints:\n    - matchLabels: {app: api}\n    toPorts:\n    - ports:\n"
        '      - {port: "80", protocol: TCP}\n      rules:\n        http:\n        - path: /ok\n'
    )
    path = hand(tmp_path, "db", rest)
    run(Capture().talk(API, DB, 80).talk(WEB, DB, 80), tmp_path)
    assert "app: web" in path.read_text()
    asked = [
        verdict(tmp_path, source, DB, 80, http={"method": "GET", "path": "/secret"}) for source in (API, WEB)
    ]
    assert ["denied", "allowed"] == asked


def test_missing_requests_are_added_and_no_others(tmp_path: Path) -> None:
    """With requests asked for, a caller that a person lets ask one path is let ask the other one seen too."""
    hand(
        tmp_path,
        "db",
        '  ingress:\n  - fromEndpoints:\n    - matchLabels: {app: api}\n    toPorts:\n    - ports:\n      - {port: "80", '
        "protocol: TCP}\n      rules:\n        http:\n        - path: /one\n",
    )
    capture = Capture().talk(API, DB, 80)
    edges = with_requests(capture, (0, "GET", "/one"), (0, "GET", "/two"))
    options = Options(l7=("http",))
    run(edges, tmp_path, options)
    answers = [
        verdict(tmp_path, API, DB, 80, http={"method": "GET", "path": path})
        for path in ("/one", "/two", "/six")
    ]
    assert ["allowed", "allowed", "denied"] == answers
    assert [] == run(edges, tmp_path, options).made


def test_deny_rules_win_and_are_told(tmp_path: Path) -> None:
    """A deny rule against what was delivered is named with its place; nothing is written against it, twice."""
    path = hand(
        tmp_path,
        "db",
        f"  ingressDeny:\n  - fromEndpoints:\n    - matchLabels: {{app: web}}\n{ONLY_API}  egress: [{{}}]\n",
    )
    capture = Capture().talk(API, DB, 5432).talk(WEB, DB, 5432)
    for _ in range(2):
        done = run(capture, tmp_path)
        (found,) = done.plan.contradictions
        assert f"{path}:1:spec.ingressDeny[0]" == found.where
        assert ("shop/web to shop/db on 5432/TCP",) == found.ends
        assert (
            f"{path}:1:spec.ingressDeny[0] denies what was delivered, and deny rules win: shop/web to shop/db on "
            "5432/TCP; nothing is written for it"
        ) in done.lines
        assert "db.yaml" not in done.texts
    assert "denied" == verdict(tmp_path, WEB, DB, 5432)


def test_an_open_direction_is_closed(tmp_path: Path) -> None:
    """Where policies let everything through that was seen but leave a direction open, an empty entry closes it."""
    open_rule = f"  enableDefaultDeny: {{ingress: false}}\n{ONLY_API}"
    path = hand(tmp_path, "db", open_rule)
    before = path.read_text()
    done = run(Capture().talk(API, DB, 5432), tmp_path, scope=Scope(namespaces=("shop",)))
    assert before.split("enableDefaultDeny")[0] in path.read_text()
    closing = done.texts["db-flowmine.yaml"]
    assert "  ingress:\n  - {}\n" in closing
    assert "denied" == verdict(tmp_path, WEB, DB, 5432)
    assert [] == run(Capture().talk(API, DB, 5432), tmp_path).made


def test_a_taken_name_is_not_written_over(tmp_path: Path) -> None:
    """A policy of the same name for other pods stays in force: the new one is called otherwise."""
    hand(tmp_path, "web", "  ingress: [{}]\n", HEAD.replace("app: NAME", "app: other"))
    run(Capture().talk(WEB, OUTSIDE, 443), tmp_path)
    assert ["web", "web-flowmine"] == sorted(each.name for each in read_folder(tmp_path).policies)


def test_what_only_shows_counts_for_nothing(tmp_path: Path) -> None:
    """A policy of `flowmine visibility` covers no rule, for it is to be deleted: that is said."""
    shows = HEAD.replace("name: NAME", "name: visibility").replace(
        "    matchLabels:\n      app: NAME\n", "    {}\n"
    )
    rest = "  enableDefaultDeny: {ingress: false, egress: false}\n  egress:\n  - toEntities: [all]\n"
    path = hand(tmp_path, "visibility", rest, shows)
    done = run(Capture().talk(WEB, OUTSIDE, 443), tmp_path)
    assert "203.0.113.7/32" in done.texts["web.yaml"]
    assert f"{path}:1: it only shows traffic and counts for nothing here; delete it" in done.lines


def test_what_cilium_cannot_resolve_is_left_alone(tmp_path: Path) -> None:
    """A pod whose policies contradict each other gets nothing; that is said, and the others are served."""
    rules = ("http: [{}]", "l7proto: x")
    entries = "".join(
        f'  - toPorts:\n    - ports:\n      - {{port: "80", protocol: TCP}}\n      rules: {{{rule}}}\n'
        for rule in rules
    )
    hand(tmp_path, "web", f"  egress:\n{entries}")
    done = run(Capture().talk(WEB, API, 80), tmp_path)
    assert {"api.yaml"} == set(done.texts)
    assert any(line.startswith("shop/web: left alone, for Cilium cannot resolve") for line in done.lines)


@pytest.mark.parametrize("per", list(Per))
def test_policies_of_every_cut_merge_once(tmp_path: Path, per: Per) -> None:
    """Whether a policy is for a workload, a namespace or a flow, what a person has is left out and a second run is empty."""
    hand(tmp_path, "db", ONLY_API)
    capture = Capture().talk(API, DB, 5432).talk(WEB, DB, 5432).talk(WEB, OUTSIDE, 443)
    scope = Scope(namespaces=("shop",), per=per)
    run(capture, tmp_path, scope=scope)
    assert [] == run(capture, tmp_path, scope=scope).made
    asked = [(API, DB, 5432), (WEB, DB, 5432), (WEB, OUTSIDE, 443), (WEB, API, 80), (DB, API, 80)]
    assert ["allowed"] * 3 + ["denied"] * 2 == [verdict(tmp_path, *each) for each in asked]


def test_both_directions_of_one_rule_are_extended_together(tmp_path: Path) -> None:
    """A rule with one direction gets entries in that and the other, in one file and one diff."""
    path = hand(tmp_path, "api", "  ingress: [{}]\n")
    done = run(Capture().talk(WEB, API, 80).talk(API, DB, 5432), tmp_path)
    assert {"api.yaml", "web.yaml", "db.yaml"} == set(done.texts)
    rule = read_folder(tmp_path).policies[0].rules[0]
    assert (2, 1) == (len(rule.ingress or ()), len(rule.egress or ()))
    assert path.read_text().startswith("# api, by hand\n")


def test_what_cannot_be_extended_in_place_gets_a_policy_beside(tmp_path: Path) -> None:
    """A file with aliases is left as it is: what is missing stands in a policy of its own, which means the same."""
    text = HEAD.replace("app: NAME", "app: &app NAME") + "  description: *app\n  ingress: [{}]\n"
    path = hand(tmp_path, "db", "", text)
    before = path.read_bytes()
    done = run(Capture().talk(API, DB, 5432), tmp_path)
    assert before == path.read_bytes()
    assert "db-flowmine" in next(text for name, text in done.texts.items() if name.startswith("db"))
    assert "allowed" == verdict(tmp_path, API, DB, 5432)
    assert [] == run(Capture().talk(API, DB, 5432), tmp_path).made


def test_cidr_groups_of_the_folder_count(tmp_path: Path) -> None:
    """A rule that names a CIDR group covers the addresses of the group in the folder."""
    hand(tmp_path, "web", "  ingress: [{}]\n  egress:\n  - toCIDRSet:\n    - cidrGroupRef: partners\n")
    group = "{apiVersion: cilium.io/v2, kind: CiliumCIDRGroup, metadata: {name: partners}, spec: {externalCIDRs: [RANGE]}}"
    (tmp_path / "group.yaml").write_text(group.replace("RANGE", "203.0.113.0/24"))
    capture = Capture().talk(WEB, OUTSIDE, 443)
    assert [] == run(capture, tmp_path).made
    (tmp_path / "group.yaml").write_text(group.replace("RANGE", "198.51.100.0/24"))
    assert {"web.yaml"} == set(run(capture, tmp_path).texts)


def test_the_lines_count_what_was_done(tmp_path: Path) -> None:
    """The summary says how many rules went where, how many were there, and how much was judged."""
    hand(tmp_path, "db", f"{ONLY_API}  egress: [{{}}]\n")
    done = run(Capture().talk(API, DB, 5432).talk(WEB, DB, 5432), tmp_path)
    assert [
        f"{tmp_path}: 1 rule added to 1 file, 2 new policies; 0 of 3 recommended rules were there already",
        "judged with the policies there: 4 questions, all allowed but what deny rules decide",
    ] == done.lines
