"""The draft: what adding and taking away does, judged by the engine over samples and in the saved files."""

import pytest
import yaml

from flowmine.advise.rulings import rulings
from flowmine.errors import UsageError
from flowmine.ledger import Ledger
from flowmine.policy.problems import Severity
from flowmine.policy.validate import validate
from flowmine.web.desk import IN_FORCE, NOTHING, RECOMMENDED, Outdated
from flowmine.web.draft import Paper
from tests.web.making import place_of, sample_desk

NAMES = ("empire", "linkding", "node", "three-tier")


def scene_of(desk):
    """Return what the desk shows now."""
    return next(reversed(desk._scenes.values()))


def allowed(desk, place):
    """Tell whether the whole draft, judged from nothing, lets a connection pass with the requests seen on it."""
    scene, draft = scene_of(desk), desk._draft
    found = rulings(scene.known, draft.in_force, scene.rows[place])
    denied = scene.known.denied_requests
    return all(r.allowed and not set(r.refused) - set(denied.get(row, ())) for row, r in found.items())


def effects(view):
    """Return how many connections change, by kind."""
    return {each.kind: each.count for each in view.effects}


@pytest.mark.parametrize("governed", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_connection_can_be_added_and_taken_out(name, governed):
    """After adding, the draft lets it pass and Cilium takes it; after taking out, it denies it; undo leads back.

    What has no rule either way says why: traffic of the own node, ends that are no workloads.
    """
    desk = sample_desk(name, governed=governed)
    start = desk.draft()
    for place in range(0, len(start.outcomes), 3):
        view = desk.add(1, [place])
        assert allowed(desk, place), scene_of(desk).name(place)
        texts = [policy.text for policy in view.policies if policy.state != "same"]
        problems = [
            p for text in texts for p in validate(yaml.safe_load(text)) if p.severity is Severity.ERROR
        ]
        assert [] == problems
        view = desk.remove(1, [place])
        assert bool(view.last.problems) == allowed(desk, place), scene_of(desk).name(place)
        while view.undo is not None:
            view = desk.undo()
        assert start.policies == view.policies


def test_what_is_judged_again_is_what_judging_everything_gives():
    """After a row of changes the rulings kept and made anew are those of the whole draft judged at once."""
    desk = sample_desk("linkding")
    for place in range(0, 40, 4):
        desk.add(1, [place])
        desk.remove(1, [(place * 7) % 40])
        scene, judged = scene_of(desk), desk._judged().judged
        assert rulings(scene.known, desk._draft.in_force, range(len(scene.known.links))) == judged.rulings


def test_a_dropped_connection_takes_the_smallest_change():
    """The policy that closes the side is extended by just this entry, which says why it is there; nothing else changes."""
    desk = sample_desk("linkding")
    place = place_of(desk, "default/toolbox", "linkding/linkding-db", "5432/TCP")
    view = desk.add(1, [place])
    (changed,) = [policy for policy in view.policies if policy.state != "same"]
    assert ("changed", "linkding-database") == (changed.state, changed.name)
    entry = yaml.safe_load(changed.text)["spec"]["ingress"][-1]
    assert [{"port": "5432", "protocol": "TCP"}] == entry["toPorts"][0]["ports"]
    assert (
        "# added in the editor: default/toolbox to linkding/linkding-db on 5432/TCP: 49 flows" in changed.text
    )
    assert ((place,), (), {"newly allowed": 1}) == (view.last.gained, view.last.lost, effects(view))
    (fresh,) = changed.fresh
    lines = changed.text.splitlines()[changed.rules[fresh].first : changed.rules[fresh].last + 1]
    assert [entry] == yaml.safe_load("\n".join(lines))


def test_from_nothing_a_rule_closes_its_ends_and_tells_whom_that_cuts_off():
    """Both ends get the rule for it; what else they do is listed, and adding all of that leaves nothing denied."""
    desk = sample_desk("three-tier", governed=False)
    place = place_of(desk, "default/frontend", "default/backend", "80/TCP")
    view = desk.add(1, [place])
    assert {("backend", "new"), ("frontend", "new")} == {(each.name, each.state) for each in view.policies}
    (denied,) = [each for each in view.effects if each.kind == "would be denied"]
    names = {scene_of(desk).name(item.place) for item in denied.items}
    assert "default/frontend to kube-system/coredns on 53/UDP" in names
    view = desk.add(1, [item.place for item in denied.items])
    while "would be denied" in effects(view):  # what is added may close further ends
        (denied,) = [each for each in view.effects if each.kind == "would be denied"]
        view = desk.add(1, [item.place for item in denied.items])
    assert all(allowed(desk, item.place) for item in denied.items)


def test_rules_by_name_come_with_the_lookups_that_they_learn_from():
    """A rule by name added to nothing brings the entry that lets names be asked for."""
    desk = sample_desk("three-tier", governed=False)
    view = desk.add(1, [place_of(desk, "default/backend", "console.cloud.google.com", "443/TCP")])
    (policy,) = view.policies
    entries = yaml.safe_load(policy.text)["spec"]["egress"]
    assert [{"matchPattern": "*.cloud.google.com"}] == entries[0]["toFQDNs"]
    assert {"dns": [{"matchPattern": "*"}]} == entries[1]["toPorts"][0]["rules"]


def test_taking_out_the_last_entry_leaves_its_side_closed():
    """Without its last entry a direction is still closed, so nothing opens by taking away."""
    desk = sample_desk("three-tier", governed=False)
    place = place_of(desk, "default/frontend", "default/backend", "80/TCP")
    desk.add(1, [place])
    view = desk.remove(1, [place])
    specs = {policy.name: yaml.safe_load(policy.text)["spec"] for policy in view.policies}
    assert ([{}], [{}]) == (specs["frontend"]["egress"], specs["backend"]["ingress"])
    assert not allowed(desk, place)


def test_the_recommendation_as_a_draft_denies_nothing_that_is_meant():
    """Started from it, what it denies of what works is noise alone, and each entry has its evidence above it."""
    desk = sample_desk("linkding", governed=False)
    view = desk.start(RECOMMENDED)
    assert set(effects(view)) <= {"noise denied", "newly allowed"}
    assert all("# " in policy.text for policy in view.policies if "fromE" in policy.text)


def test_origins_are_those_that_there_are():
    """Without policies there are none in force to start from; another word is refused."""
    assert (IN_FORCE, NOTHING, RECOMMENDED) == sample_desk("empire").draft().starts
    desk = sample_desk("empire", governed=False)
    assert (NOTHING, RECOMMENDED) == desk.draft().starts
    with pytest.raises(UsageError):
        desk.start(IN_FORCE)


def test_undo_and_redo_go_through_every_change():
    """Each step gives back exactly the policies of that time; a new change takes away what was undone."""
    desk = sample_desk("linkding")
    views = [desk.draft(), *(desk.add(1, [place]) for place in (8, 9, 11))]
    for view in reversed(views[:-1]):
        assert view.policies == desk.undo().policies
    assert desk.undo().undo is None
    for view in views[1:]:
        assert view.policies == desk.redo().policies
    desk.undo()
    assert desk.add(1, [16]).redo is None


def test_a_draft_stays_when_the_scene_changes():
    """New traffic judges the same policies; connections of the version before are still found, of older ones not."""
    desk = sample_desk("linkding")
    view = desk.add(1, [9])
    scene = scene_of(desk)
    for _ in range(2):
        desk.show(scene.edges, Ledger())
    assert view.policies == desk.draft().policies
    assert 3 == desk.draft().view
    assert (9,) == desk.remove(1, [9]).last.lost
    for _ in range(3):
        desk.show(scene.edges, Ledger())
    with pytest.raises(Outdated):
        desk.add(1, [9])


def test_comments_stay_with_their_entries():
    """An entry keeps its comment wherever it moves; one that is changed keeps it and gains the reason of the change."""
    before = {"metadata": {}, "spec": {"ingress": [{"fromEntities": ["world"]}, {"fromEntities": ["host"]}]}}
    paper = Paper(before, {("ingress", '{"fromEntities": ["host"]}'): "for probes"})
    after = {"metadata": {}, "spec": {"ingress": [{"fromEntities": ["host", "health"]}]}}
    text = paper.changed({**after, "spec": {"ingress": [{"fromEntities": ["host"]}]}}, "why").text
    assert 1 == text.count("# for probes") and "# why" not in text
    both = Paper({"spec": {"ingress": [{"fromEntities": ["host"]}]}}, paper.comments).changed(
        after, "health too"
    )
    assert "  # for probes\n  # health too\n  - fromEntities:\n    - host\n    - health\n" in both.text


def test_saving_needs_a_folder(tmp_path):
    """Without one it is refused; with one what is saved is the draft, and it is told."""
    with pytest.raises(UsageError, match="--save DIR"):
        sample_desk("empire").save()
    desk = sample_desk("empire", tmp_path / "drafts")
    view = desk.save()
    assert set(view.saved) == {
        p.relative_to(tmp_path / "drafts").as_posix() for p in tmp_path.rglob("*.yaml")
    }
    assert "written to" in view.last.done[0]
