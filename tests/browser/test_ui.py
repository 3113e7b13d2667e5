"""The live page in a browser: from the map to a saved policy, with nothing asked of anybody else."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmine.advise.rulings import rulings
from flowmine.edges import COLUMNS, REQUEST_COLUMNS, aggregate
from flowmine.ingest import open_flows
from flowmine.ledger import Ledger
from flowmine.policy.files import load
from flowmine.policy.problems import Severity
from flowmine.policy.validate import validate
from flowmine.web.desk import Desk
from flowmine.web.following import State
from flowmine.web.saving import Saver
from tests.browser.conftest import Opened
from tests.cluster.capture import lines
from tests.cluster.chance import large_cluster
from tests.cluster.model import Capture
from tests.report.making import HOSTILE, NAMES
from tests.web.making import SAMPLES, Served, desk_of, grounds, place_of, sample_desk, serving

PANEL_DRAFT = "#panel .connection-draft"


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """Return what opens a served page by its address with the token, and waits until its draft is there."""
    contexts = []

    def open_page(served: Served, width: int = 1400, height: int = 950, **options: Any) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(served.url)
        found.page.wait_for_selector("html[data-ready]", timeout=30_000)
        found.page.locator("#draft-state strong").wait_for(timeout=30_000)
        return found

    yield open_page
    for context in contexts:
        context.close()


def denied_and_observed(desk: Desk) -> list[int]:
    """Return a dropped connection and a delivered one that rules can be written for, as far as there are."""
    scene = next(reversed(desk._scenes.values()))
    found = {}
    for place, each in enumerate(scene.view.connections):
        links = [scene.known.links[row] for row in scene.rows[place]]
        if links[0].source.workload >= 0 and each.outcome in ("dropped", "delivered"):
            found.setdefault(each.outcome, place)
    return list(found.values())


def through_the_map(found: Opened, desk: Desk, place: int) -> None:
    """Click the caller's box on the map, then the connection in its list."""
    scene = next(reversed(desk._scenes.values()))
    each = scene.view.connections[place]
    group = scene.view.nodes[each.source].group
    if len(scene.view.nodes) > 40:
        found.page.locator("#group").select_option(str(group))
    box = found.page.locator(f"g.node[aria-label='{scene.node(each.source)}']").first
    box.wait_for()  # a large map is laid out anew for a group, and a forced click does not wait for that
    box.click(force=True)
    where = each.protocol if each.port is None else f"{each.port}/{each.protocol}"
    label = f"{scene.node(each.target)} {where}"
    found.panel.locator(f"ul.calls li:has(.outcome.{each.outcome}) button", has_text=label).first.click()
    found.page.locator(f"{PANEL_DRAFT}[data-place='{place}'] .verdict").wait_for()


def added(found: Opened, place: int) -> None:
    """Press the button that adds the connection whose details are open, and wait until the draft lets it pass."""
    found.page.locator(PANEL_DRAFT).get_by_role("button", name="Add").click()
    found.page.locator(f"{PANEL_DRAFT} .verdict", has_text="the draft lets it pass").wait_for(timeout=60_000)
    found.page.locator("#draft:not([aria-busy])").wait_for()


def saved(found: Opened, folder: Path) -> list[Any]:
    """Save, and return the documents in the folder."""
    found.page.locator("#save").click()
    found.page.locator("#draft-said", has_text="written to").wait_for(timeout=30_000)
    return [yaml.safe_load(path.read_text("utf-8")) for path in sorted(folder.rglob("*.yaml"))]


def checked(desk: Desk, folder: Path, place: int) -> None:
    """Assert that what was saved is valid, and that the engine lets the connection pass by it alone."""
    scene = next(reversed(desk._scenes.values()))
    documents = load(folder).documents
    assert [] == [p for each in documents for p in validate(each.value) if p.severity is Severity.ERROR]
    policies = grounds(scene.edges, Ledger(), documents).policies
    found = rulings(scene.known, policies, scene.rows[place])
    assert all(ruling.allowed for ruling in found.values())


@pytest.mark.parametrize("governed", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_from_the_map_to_a_saved_policy(visit, tmp_path, name, governed):
    """Map, flow, draft, policy, save: what is saved is valid and lets the flow pass; no complaint, no request elsewhere."""
    folder = tmp_path / "drafts"
    desk = sample_desk(name, folder, governed=governed)
    with serving(desk) as served:
        found = visit(served)
        for place in denied_and_observed(desk):
            through_the_map(found, desk, place)
            if found.page.locator(PANEL_DRAFT).get_by_role("button", name="Add").count():
                added(found, place)
            found.page.locator(f"{PANEL_DRAFT} summary").click()
            assert saved(found, folder)
            checked(desk, folder, place)
        found.page.evaluate("scrollTo(0, 0)")
        found.shot(f"ui-{name}-{'governed' if governed else 'free'}")
        assert "/" == found.page.evaluate("location.pathname + location.search")
        assert [] == found.complaints
        assert {True} == {url.startswith((served.address, "data:")) for url in found.requests}


def test_colours_lists_and_yaml_follow_at_once(visit, tmp_path):
    """The line turns and stands out, the lists and the YAML tell of it, undo takes all of it back, keys as well."""
    desk = sample_desk("linkding", tmp_path)
    place = place_of(desk, "default/toolbox", "linkding/linkding-db", "5432/TCP")
    with serving(desk) as served:
        found = visit(served)
        through_the_map(found, desk, place)
        assert "true" == found.page.locator("#shade-recorded").get_attribute("aria-pressed")
        crosses = found.page.locator("#canvas path.wire.dropped").count()
        added(found, place)
        assert "true" == found.page.locator("#shade-draft").get_attribute("aria-pressed")
        assert 1 == found.page.locator("#canvas path.wire.delivered.opens").count()
        assert crosses - 1 == found.page.locator("#canvas path.wire.dropped").count()
        assert "newly allows 1 connection" in found.page.locator("#draft-state").inner_text()
        marked = found.page.locator("#changed pre .line.admits").all_inner_texts()
        assert [{"port": "5432", "protocol": "TCP"}] == yaml.safe_load("\n".join(marked))[0]["toPorts"][0][
            "ports"
        ]
        said = found.page.locator("#say")
        said.filter(has_text="newly allows 1 connection").wait_for()
        found.page.keyboard.press("Control+z")
        found.page.locator("#draft-state", has_text="newly allows nothing").wait_for()
        found.page.keyboard.press("Control+Shift+z")
        found.page.locator("#draft-state", has_text="newly allows 1").wait_for()
        found.page.locator(PANEL_DRAFT).get_by_role("button", name="Remove").click()
        found.page.locator("#draft-state", has_text="newly allows nothing").wait_for()
        found.page.locator("#shade-recorded").click()
        assert crosses == found.page.locator("#canvas path.wire.dropped").count()
        assert [] == found.complaints


def test_everything_is_done_by_keys(visit, tmp_path):
    """Enter on a box, Tab to a connection and to its button, and Tab to the save: the focus is never lost."""
    desk = sample_desk("linkding", tmp_path / "drafts")
    with serving(desk) as served:
        found = visit(served)
        keys = found.page.keyboard
        found.page.get_by_label("default/toolbox", exact=True).focus()
        keys.press("Enter")
        found.panel.locator("ul.calls li:has(.outcome.dropped) button").first.focus()
        keys.press("Enter")
        found.page.locator(f"{PANEL_DRAFT} .verdict").wait_for()
        for _ in range(8):
            keys.press("Tab")
            if found.page.evaluate("document.activeElement.textContent") == "Add to draft":
                break
        keys.press("Enter")
        found.page.locator(f"{PANEL_DRAFT} .verdict", has_text="lets it pass").wait_for()
        found.page.locator("#draft:not([aria-busy])").wait_for()
        assert found.page.evaluate("Boolean(document.activeElement.closest('.connection-draft'))")
        found.page.locator("#save").focus()
        keys.press("Enter")
        found.page.locator("#draft-said", has_text="written to").wait_for()
        assert "save" == found.page.evaluate("document.activeElement.id")


def test_a_late_answer_leaves_the_focus_where_it_went(visit, tmp_path):
    """Who goes on to the save while the server still judges the connection stays there."""
    with serving(sample_desk("linkding", tmp_path / "drafts")) as served:
        found = visit(served)
        found.page.get_by_label("default/toolbox", exact=True).click()
        found.panel.locator("ul.calls li:has(.outcome.dropped) button").first.click()
        found.page.locator(f"{PANEL_DRAFT} .verdict").wait_for()
        held = []
        found.page.route("**/draft/connection?*", lambda route: held.append(route), times=1)
        found.page.locator(PANEL_DRAFT).get_by_role("button", name="Add to draft").press("Enter")
        while not held:
            found.page.wait_for_timeout(20)
        found.page.locator("#save").focus()
        for each in held:
            each.continue_()
        found.page.locator(f"{PANEL_DRAFT} .verdict", has_text="lets it pass").wait_for()
        found.page.locator("#draft:not([aria-busy])").wait_for()
        assert "save" == found.page.evaluate("document.activeElement.id")


def test_a_drop_is_added_from_its_list(visit):
    """Every group of drops has its way into the draft."""
    with serving(sample_desk("linkding")) as served:
        found = visit(served)
        found.page.locator("#drops details.drop").first.locator("summary").click()
        found.page.locator("#drops details.drop").first.get_by_role("button", name="Add to draft").click()
        found.page.locator("#draft-state", has_text="newly allows 1").wait_for()


def test_new_edges_arrive_without_losing_what_is_looked_at(visit):
    """A new version takes over map, tables and facts; the details, the filters and the draft stay as they were."""
    desk = sample_desk("linkding")
    other = sample_desk("empire")
    scene, more = (next(reversed(each._scenes.values())) for each in (desk, other))
    with serving(desk) as served:
        found = visit(served)
        place = place_of(desk, "default/toolbox", "linkding/linkding-db", "5432/TCP")
        through_the_map(found, desk, place)
        found.page.locator("#search").fill("toolbox")
        heading = found.panel.locator("h2").inner_text()
        desk.show(scene.edges, Ledger())
        found.page.locator("html[data-version='2']").wait_for(timeout=20_000)
        assert heading == found.panel.locator("h2").inner_text()
        assert "toolbox" == found.page.locator("#search").input_value()
        found.page.locator("#search").fill("")
        desk.tell(State("live", "", 5, 7))
        found.page.locator("#hold").click()
        desk.show(more.edges, Ledger())
        found.page.locator("#newer").wait_for()
        assert heading == found.panel.locator("h2").inner_text()
        found.page.locator("#newer").click()
        found.page.get_by_label("empire/xwing", exact=True).first.wait_for()
        assert not found.panel.is_visible()
        assert [] == found.complaints


def test_a_stream_that_breaks_shows_on_the_page(visit):
    """What is said of the stream stands on the page; a server that has gone is told, and found again."""
    desk = sample_desk("empire")
    with serving(desk) as served:
        found = visit(served)
        for state, told in (
            (State("live", "", 1234, 5), "Live: 1,234 flows, 5 edges"),
            (
                State("interrupted", f"the server is away {HOSTILE}", 1234, 5),
                "The stream is interrupted (the server is away",
            ),
            (State("live", "", 1300, 5), "Live: 1,300 flows"),
            (State("ended", "", 1300, 5), "The stream has ended"),
        ):
            desk.tell(state)
            found.page.locator("#state", has_text=told).wait_for(timeout=10_000)
        desk.news.close()
    found.page.locator("#state", has_text="No answer from flowmine ui; trying again").wait_for(timeout=15_000)
    assert found.page.evaluate("window.owned") is None


def spoiled(value: Any) -> Any:
    """Return a flow in which whatever is called frontend has a name that wants to run."""
    if isinstance(value, str):
        return value.replace("frontend", f"frontend{HOSTILE}")
    if isinstance(value, list):
        return [spoiled(item) for item in value]
    return {key: spoiled(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("width", [1400, 390])
def test_hostile_names_run_nothing(visit, tmp_path, width):
    """Markup and marks that turn text round, in labels, pods and names: nothing runs in map, details, draft and lists."""
    path = tmp_path / "flows.jsonl"
    with gzip.open(SAMPLES / "three-tier" / "flows.jsonl.gz", "rt", encoding="utf-8") as stream:
        path.write_text("".join(f"{json.dumps(spoiled(json.loads(line)))}\n" for line in stream), "utf-8")
    desk = desk_of(path, None, tmp_path / "drafts", f"title {HOSTILE}")
    with serving(desk) as served:
        found = visit(served, width)
        row = found.page.locator("#table tbody tr:has-text('frontend'):has-text('delivered') button")
        for number in range(2):
            row.nth(number).click()
            found.page.locator(f"{PANEL_DRAFT} .verdict").wait_for()
            if found.page.locator(PANEL_DRAFT).get_by_role("button", name="Add").count():
                found.page.locator(PANEL_DRAFT).get_by_role("button", name="Add").click()
                found.page.locator("#draft:not([aria-busy])").wait_for()
                found.page.locator("#draft-said :is(p, li)").first.wait_for()
        found.page.keyboard.press("Escape")
        found.page.locator("#save").click()
        found.page.locator("#draft-said :is(p, li)").first.wait_for()
        assert found.page.evaluate("window.owned") is None
        assert [] == found.complaints
        assert 0 == found.page.locator("main img, #panel img, #draft script").count()
        assert "\u202e" not in found.page.inner_text("body")
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        found.shot(f"ui-hostile-{width}")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> Desk:
    """Return a desk with 500 workloads and their recommendation."""
    path = tmp_path_factory.mktemp("large") / "large.jsonl"
    path.write_bytes(b"".join(lines(large_cluster(500, 3000), 12_000, Capture())))
    source = open_flows(str(path), columns=(*COLUMNS, *REQUEST_COLUMNS))
    edges = aggregate(source, requests=True)
    desk = Desk("large", grounds, Saver(path.parent / "drafts"))
    desk.show(edges, source.ledger)
    desk.tell(State("still", "", source.ledger.flows, edges.edges.num_rows))
    return desk


def test_five_hundred_workloads(visit, crowd, tmp_path):
    """The way from map to saved policy, at that size, from the recommendation as the draft."""
    folder = crowd._saver.folder
    rng = random.Random(1)
    scene = next(reversed(crowd._scenes.values()))
    some = [
        p
        for p, each in enumerate(scene.view.connections)
        if scene.known.links[scene.rows[p][0]].target.workload >= 0 and each.outcome == "delivered"
    ]
    place = rng.choice(some)
    with serving(crowd) as served:
        found = visit(served)
        found.shot("ui-large")
        found.page.locator("#start").select_option("the recommendation")
        found.page.locator("#begin").click()
        found.page.locator("#draft-state", has_text="from the recommendation").wait_for(timeout=60_000)
        through_the_map(found, crowd, place)
        found.page.locator(PANEL_DRAFT).get_by_role("button", name="Remove from draft").click()
        found.page.locator(f"{PANEL_DRAFT} .verdict", has_text="the draft denies it").wait_for(timeout=60_000)
        found.page.locator("#draft:not([aria-busy])").wait_for()
        added(found, place)
        found.shot("ui-large-open")
        assert saved(found, folder)
        checked(crowd, folder, place)
        assert [] == found.complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_no_serious_accessibility_faults(visit, tmp_path, scheme, width):
    """axe-core finds nothing serious, before a change and after, and nothing is wider than a phone."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = Path(package.__path__[0], "axe.min.js").read_text("utf-8")
    desk = sample_desk("three-tier", tmp_path, governed=False)
    with serving(desk) as served:
        found = visit(served, width, color_scheme=scheme, bypass_csp=True)
        for step in ("", "pick", "add"):
            if step == "pick":
                found.page.locator(
                    "#table tbody tr:has-text('default/frontend'):has-text('delivered') button"
                ).first.click()
                found.page.locator(f"{PANEL_DRAFT} .verdict").wait_for()
            elif step:
                found.page.locator(PANEL_DRAFT).get_by_role("button", name="Add").click()
                found.page.locator(".effect.breaks").first.wait_for()
                found.page.locator("#draft:not([aria-busy])").wait_for()
            found.page.evaluate(axe)
            result = found.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            faults = [
                (each["id"], each["nodes"][0]["html"][:160])
                for each in result["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            assert [] == faults
            assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        found.page.keyboard.press("Escape")
        found.page.evaluate("document.querySelector('#draft').scrollIntoView()")
        found.shot(f"ui-draft-{scheme}-{width}")
