"""The report in a browser: what a click shows, what filters leave, and that hostile names do nothing."""

import random
from pathlib import Path

import pytest
import yaml

from flowmine.policy.problems import Severity
from flowmine.policy.validate import validate
from flowmine.report.html import report_page
from flowmine.report.redact import shown
from flowmine.report.view import mapped
from tests.report.making import NAMES, drawn_view, hostile_view, sample_view

FROM_BACKEND = (
    "#table tbody tr:has-text('default/backend'):has-text('default/database'):has-text('delivered') button"
)


@pytest.fixture(scope="module")
def pages():
    """Return the page of each sample by name."""
    return {name: report_page(sample_view(name)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_samples_open_without_a_complaint_and_ask_for_nothing(opened, pages, name):
    """No error in the console, and no request but for the file itself."""
    found = opened(pages[name])
    found.page.locator("g.node").first.click()
    found.shot(name)
    assert [] == found.complaints
    assert [] == [url for url in found.requests if not url.startswith(("file:", "data:"))]


def test_a_click_on_a_workload_shows_its_connections_and_its_policy(opened, pages):
    """Labels, who calls it, whom it calls, and its YAML."""
    found = opened(pages["three-tier"])
    found.page.get_by_label("default/backend", exact=True).click()
    text = found.panel.inner_text()
    assert text.count("default/database 7379/TCP") == 1
    assert "tier=backend" in text and "Calls:" in text and "Called by:" in text
    assert "name: backend" in found.panel.locator("pre").first.inner_text()


def test_a_connection_shows_the_rule_that_admits_it(opened, pages):
    """In both ends' policies the entry is marked and in sight, and nothing else is marked."""
    found = opened(pages["three-tier"])
    found.page.locator(FROM_BACKEND).first.click()
    figures = found.panel.locator("figure:has(.admits)")
    marked = {
        figures.nth(place).locator("figcaption bdi").inner_text(): figures.nth(place)
        .locator(".admits")
        .all_inner_texts()
        for place in range(figures.count())
    }
    recommended = {name: lines for name, lines in marked.items() if name.startswith("recommended")}
    assert {"recommended: default/backend", "recommended: default/database"} == set(recommended)
    (entry,) = yaml.safe_load("\n".join(recommended["recommended: default/database"]))
    assert [{"matchLabels": {"tier": "backend"}}] == entry["fromEndpoints"]
    assert [{"port": "7379", "protocol": "TCP"}] == entry["toPorts"][0]["ports"]
    found.shot("connection")


def test_a_dropped_connection_shows_its_fix_and_what_policies_say(opened, pages):
    """Why it was dropped, by whom, and the diff that admits it, ready to copy."""
    found = opened(pages["linkding"])
    found.page.locator(
        "#table tbody tr:has-text('default/toolbox'):has-text('5432/TCP') button"
    ).first.click()
    assert "POLICY_DENIED at ingress" in found.panel.inner_text()
    assert "linkding-database" in found.panel.inner_text()
    found.panel.get_by_role("button", name="Copy diff").first.click()
    copied = found.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("---") and "\n+" in copied


def test_a_scan_is_told_to_need_no_change(opened, pages):
    """A dropped connection that is part of a scan has neither rule nor change, and says why."""
    found = opened(pages["three-tier"])
    found.page.locator("#table tbody tr:has-text('4153/TCP') button").first.click()
    assert "part of a scan" in found.panel.inner_text()
    assert 0 == found.panel.locator("details, figure").count()


def test_a_line_of_the_map_leads_to_its_connections(opened, pages):
    """A line of one connection shows that; of several, the list of them."""
    found = opened(pages["linkding"])
    for place in range(found.page.locator("path.hit").count()):
        line = found.page.locator("path.hit").nth(place)
        count, outcome = line.get_attribute("aria-label").rsplit(": ", 1)[1].split()
        line.dispatch_event("click")
        assert outcome in found.panel.locator(".outcome").first.inner_text()
        if int(count) > 1:
            assert int(count) == found.panel.locator("ul.calls li").count()


def test_everything_is_reached_by_keys(opened, pages):
    """Tab comes to boxes and lines in turn, Enter opens, the details take the focus, Escape gives it back."""
    found = opened(pages["three-tier"])
    reached = set()
    for _ in range(90):
        found.page.keyboard.press("Tab")
        reached.add(found.page.evaluate("document.activeElement.getAttribute('aria-label') || ''"))
    assert {"default/frontend", "default/backend", "default/database"} <= reached
    assert any(" to " in label and "delivered" in label for label in reached)
    found.page.get_by_label("default/frontend", exact=True).focus()
    found.page.keyboard.press("Enter")
    assert "default/frontend" == found.page.evaluate("document.activeElement.textContent")
    found.page.keyboard.press("Tab")
    found.page.keyboard.press("Escape")
    assert "default/frontend" == found.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert not found.panel.is_visible()


def test_details_go_back(opened, pages):
    """From a connection to its end and back again."""
    found = opened(pages["three-tier"])
    found.page.locator(FROM_BACKEND).first.click()
    before = found.panel.locator("h2").inner_text()
    found.panel.locator("h2 button").first.click()
    assert "default/backend" == found.panel.locator("h2").inner_text()
    found.panel.get_by_role("button", name="Back").click()
    assert before == found.panel.locator("h2").inner_text()


def test_filters_agree_on_map_and_table(opened, pages):
    """Without the dropped no dropped line and row is left; a search, a port and a namespace narrow both; reset undoes."""
    found = opened(pages["linkding"])
    rows, lines = found.page.locator("#table tbody tr"), found.page.locator("path.wire.dropped:visible")
    every = rows.count()
    keys = found.page.locator("#filters path.wire.dropped:visible").count()
    found.page.get_by_label("dropped", exact=True).uncheck()
    assert 0 == found.page.locator("#table tbody .outcome.dropped").count()
    assert keys == lines.count()
    found.page.get_by_label("Search").fill("bookmark-sync")
    found.page.locator("#count", has_text=" of ").filter(has_not_text="26 of").wait_for()
    assert all("bookmark-sync" in row for row in rows.all_inner_texts())
    found.page.get_by_role("button", name="Reset").click()
    assert every == rows.count()
    found.page.locator("#port").select_option("5432/TCP")
    assert all("5432/TCP" in row for row in rows.all_inner_texts())
    found.page.get_by_role("button", name="Reset").click()
    found.page.locator("#group").select_option(label="payments")
    assert all("payments/" in row for row in rows.all_inner_texts())
    assert "payments" == found.page.locator("#where").inner_text()


def test_the_table_sorts_by_each_column(opened, pages):
    """A column's heading sorts by it, again the other way round, and says so."""
    found = opened(pages["linkding"])
    found.page.get_by_role("button", name="events", exact=True).click()

    def events():
        texts = found.page.locator("#table tbody td:nth-child(5)").all_inner_texts()
        return [int(text.replace(",", "")) for text in texts]

    assert sorted(events(), reverse=True) == events()
    found.page.get_by_role("button", name="events", exact=True).click()
    assert sorted(events()) == events()
    assert "ascending" == found.page.locator("#table th:nth-child(5)").get_attribute("aria-sort")


def test_policies_are_copied_and_saved_as_they_are(opened, pages, tmp_path):
    """The YAML of a button is the policy's, and validates; all of them are one stream."""
    found = opened(pages["three-tier"])
    expected = [
        policy.text for policy in sample_view("three-tier").policies if policy.origin == "recommended"
    ]
    found.page.get_by_role("button", name="Copy backend", exact=True).first.click()
    assert found.page.evaluate("navigator.clipboard.readText()") in expected
    with found.page.expect_download() as one:
        found.page.get_by_role("button", name="Download all recommended").click()
    saved = tmp_path / one.value.suggested_filename
    one.value.save_as(saved)
    assert "recommended.yaml" == saved.name
    documents = list(yaml.safe_load_all(saved.read_text("utf-8")))
    assert [yaml.safe_load(text) for text in expected] == documents
    assert [] == [p for d in documents for p in validate(d) if p.severity is Severity.ERROR]


@pytest.mark.parametrize(("long", "width"), [(0, 1400), (10_000, 1400), (10_000, 390)])
def test_hostile_names_run_nothing_and_break_no_layout(opened, long, width):
    """Markup in every text, marks that turn text round, ten thousand letters: nothing runs, the page is no wider."""
    found = opened(report_page(mapped(hostile_view(long), shown)), width)
    found.page.locator("g.node").first.click()
    for place in range(3):
        found.page.locator("#table tbody button").nth(place).click()
    found.page.locator("#drops details").first.locator("summary").click()
    found.page.locator("#shelf button").first.click()
    found.shot(f"hostile-{long}-{width}")
    assert found.page.evaluate("window.owned") is None
    assert [] == found.complaints
    assert found.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert 0 == found.page.locator("main img, #panel img, #panel script").count()
    assert "‮" not in found.page.inner_text("body")


def large_page():
    """Return a page of 500 workloads in 25 namespaces, with 20,000 connections."""
    rng = random.Random(4)
    names = [f"team-{place % 25:02}/svc-{place}" for place in range(500)]
    links = set()
    while len(links) < 20_000:
        links.add((rng.choice(names), rng.choice(names)))
    return report_page(drawn_view(sorted(links)))


def test_five_hundred_workloads_answer_at_once(opened):
    """20,000 connections are below 5 MB; a namespace opens, and a workload and a connection answer within 100 ms."""
    page = large_page()
    assert len(page) < 5_000_000
    found = opened(page)
    found.shot("large")
    found.page.locator("g.folded").nth(3).click()
    found.shot("large-open")
    assert 20 == found.page.locator("g.node").count()
    took = """(selector) => Math.min(...[...document.querySelectorAll(selector)].slice(0, 4).map((element) => {
        const start = performance.now();
        element.dispatchEvent(new MouseEvent('click', { bubbles: true }));
        document.body.getBoundingClientRect();
        return performance.now() - start;
    }))"""
    for selector in ("g.node", "#table tbody button", "path.hit", "#panel button.link"):
        assert found.page.evaluate(took, selector) < 100, selector


def test_a_phone_has_the_details_over_the_page(opened, pages):
    """On a narrow screen nothing is wider than it, and the details are in sight wherever one is."""
    found = opened(pages["linkding"], 390, 844)
    found.page.locator("#table tbody button").nth(5).click()
    box = found.panel.bounding_box()
    found.shot("phone")
    assert 0 <= box["y"] and box["y"] + box["height"] <= 844 and box["width"] <= 390
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_and_light_follow_the_system_and_a_button(opened, pages):
    """The page takes the system's choice, and the button turns it round."""
    found = opened(pages["node"], color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = found.page.evaluate(colour)
    found.shot("dark")
    found.page.get_by_role("button", name="Dark or light").click()
    light = found.page.evaluate(colour)
    assert sum(map(int, dark[4:-1].split(","))) < 200 < 600 < sum(map(int, light[4:-1].split(",")))


def test_printing_opens_the_changes(opened, pages):
    """For print every change is unfolded and the tools are gone; afterwards all is as it was."""
    found = opened(pages["linkding"])
    shut = "document.querySelectorAll('#drops details:not([open])').length"
    before = found.page.evaluate(shut)
    found.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    found.page.emulate_media(media="print")
    found.shot("print", full_page=True)
    assert (0, False) == (found.page.evaluate(shut), found.page.locator("#filters").is_visible())
    found.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert before == found.page.evaluate(shut) > 0


def test_without_its_script_the_page_still_tells(chromium, pages, tmp_path: Path):
    """Where scripts are forbidden the map, the drops, the findings and the completeness are still there."""
    path = tmp_path / "quiet.html"
    path.write_text(pages["linkding"], encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    text = page.inner_text("body")
    assert page.locator("svg .node").count() == len(sample_view("linkding").nodes)
    assert "which cannot run here" in text and "lost" in text
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_no_serious_accessibility_faults(opened, pages, scheme, width):
    """axe-core finds nothing serious, with the details open as well."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = Path(package.__path__[0], "axe.min.js").read_text("utf-8")
    found = opened(pages["linkding"], width, color_scheme=scheme, bypass_csp=True)
    for open_first in ("", "g.node", "#table tbody button"):
        if open_first:
            found.page.locator(open_first).nth(2).click()
        found.page.evaluate(axe)
        result = found.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        faults = [
            (each["id"], each["nodes"][0]["html"][:160])
            for each in result["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert [] == faults
