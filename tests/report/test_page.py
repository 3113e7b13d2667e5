"""The page: one file that needs nothing else, admits only its own script, and shows what it shows as text."""

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from flowmine.report.html import report_page
from flowmine.report.redact import Redact, redacted, shown
from flowmine.report.view import mapped
from tests.report.making import HOSTILE, NAMES, hostile_view, sample_view


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, and the texts inside scripts and styles."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.inside, self.text = [], {"script": [], "style": []}, []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        self.inside.get(self._open, self.text).append(data)


def policy_of(page):
    """Return the content security policy, directive by directive."""
    reader = Reader(page)
    (content,) = [a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    return dict(part.strip().split(" ", 1) for part in content.split(";"))


def data_of(page):
    """Return the view that travels in the page."""
    packed = re.search(r'id="data">([^<]*)<', page)[1]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_only_our_script_and_style_may_run():
    """The policy admits nothing but the one script and the one style, by the hash of what they are."""
    page = report_page(sample_view("linkding"))
    policy, inside = policy_of(page), Reader(page).inside
    (style,) = inside["style"]
    script = next(text for text in inside["script"] if "use strict" in text)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert "'none'" == policy["default-src"]
    assert [f"'sha256-{digest}'" for digest in digests] == [policy["script-src"], policy["style-src"]]
    assert ("'none'", "'none'", "data:") == (policy["base-uri"], policy["form-action"], policy["img-src"])


@pytest.mark.parametrize("name", NAMES)
def test_the_page_needs_nothing_from_elsewhere(name):
    """No element names an address but places within the page, no handler and no style stands in an attribute."""
    for _, attributes in Reader(report_page(sample_view(name))).tags:
        for key, value in attributes.items():
            assert not key.startswith("on") and key != "style"
            if key in ("src", "href", "action", "xlink:href", "data"):
                assert value.startswith("#") or value == "data:,"


def test_the_script_makes_no_markup():
    """Nothing in the script turns a text into markup or code, or asks a network."""
    script = "\n".join(Reader(report_page(sample_view("node"))).inside["script"])
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "DOMParser",
    ):
        assert word not in script
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "import(", "localStorage"):
        assert word not in script


def test_hostile_texts_add_no_element():
    """A view of which every text is markup gives the same elements as the view itself."""
    plain, hostile = (Reader(report_page(view)).tags for view in (sample_view("linkding"), hostile_view()))
    assert [tag for tag, _ in plain] == [tag for tag, _ in hostile]


def test_hostile_texts_are_shown_as_they_are():
    """The markup can be read in the page, as text."""
    reader = Reader(report_page(hostile_view()))
    assert HOSTILE in "".join(reader.text)


def test_the_data_is_the_view():
    """What the script gets is what the view holds."""
    view = sample_view("linkding")
    data = data_of(report_page(view))
    assert [each.title for each in view.nodes] == [each["title"] for each in data["nodes"]]
    assert len(view.connections) == len(data["connections"])
    assert [policy.text for policy in view.policies] == [policy["text"] for policy in data["policies"]]
    assert len(data["maps"]) == len(data["wires"]) == len(view.groups) + 1


def test_sections_are_there_without_the_script():
    """Drops, findings, rollout and completeness are in the page itself, and so is the map."""
    view = sample_view("linkding")
    text = "".join(Reader(report_page(view)).text)
    assert all(drop.title in text for drop in view.drops)
    assert all(finding.message in text for finding in view.findings)
    assert all(row.source in text for row in view.ledger)
    assert all(step.namespace in text for step in view.rollout)
    assert "linkding-db" in text and "a remark" in text


def test_headings_and_landmarks_are_in_order():
    """One main, one banner, one navigation, one set of details; headings begin with the first level and skip none."""
    tags = [tag for tag, _ in Reader(report_page(sample_view("linkding"))).tags]
    assert [1, 1, 1, 1, 1] == [tags.count(tag) for tag in ("header", "nav", "main", "aside", "h1")]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))


SECRETS = (
    "10.1.2.3",
    "2001:db8::7",
    "10-1-2-3.shop.pod.cluster.local",
    "cidr:2001-db8--7/128",
    "3.2.1.10.in-addr.arpa",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "from {}:443", "- {}/32", "'{}',", "({})", "+    cidr: {}"])
def test_redaction_takes_addresses_wherever_they_stand(secret, around):
    """In a title, a policy, a diff, a name or a label: the address is gone, the rest stays."""
    view = mapped(sample_view("node"), lambda text: around.format(secret) if text == "node" else text)
    title = redacted(view, [Redact.IPS], ()).title
    assert not re.search(r"10.1.2.3|3\.2\.1\.10|2001.db8..7", title)
    assert "address-1" in title
    assert around.partition("{}")[0] in title


def test_redaction_keeps_what_is_no_address():
    """Versions, times, ports, everything and names stay as they are."""
    text = "1.19.4+g1b1c3e2a 12:30:45 443/TCP 0.0.0.0/0 ::/0 a::: web-1 2026-11-18 08:10 spec.ingress[0]"
    view = mapped(sample_view("node"), lambda old: text if old == "node" else old)
    assert text == redacted(view, [Redact.IPS], ()).title


def test_one_address_has_one_stand_in():
    """Written in two ways it is still the same; another is another."""
    view = mapped(sample_view("node"), lambda old: "10.1.2.3 10-1-2-3 10.1.2.4" if old == "node" else old)
    first, second, third = redacted(view, [Redact.IPS], ()).title.split()
    assert first == second != third


def test_redaction_takes_names_of_pods_only():
    """A pod's name is replaced alone and within a longer text, its workload's is not; the page says so."""
    view = mapped(
        sample_view("node"),
        lambda old: "shop/web-7d9f-x2 of web on web-7d9f-x2.svc" if old == "node" else old,
    )
    found = redacted(view, [Redact.PODS], {"web-7d9f-x2", "db-0"})
    assert "shop/pod-2 of web on pod-2.svc" == found.title
    assert "names of pods are replaced" in found.remarks[0]


@pytest.mark.parametrize("name", ["linkding", "three-tier"])
def test_no_address_of_a_sample_survives(name):
    """Nothing in the redacted page, its data included, looks like an address of the capture."""
    view = sample_view(name)
    found = {address for each in view.connections for address in each.addresses}
    page = report_page(redacted(view, [Redact.IPS], ()))
    text = page + json.dumps(data_of(page))
    assert found
    assert [] == [
        address for address in found if re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", text)
    ]


def test_what_would_hide_is_made_visible():
    """Marks that turn text round, controls and lone surrogates are shown by their number; lines and other scripts stay."""
    assert "a⟨202e⟩b⟨00⟩\nc\td⟨d800⟩ héé 名" == shown("a\u202eb\0\nc\td\ud800 héé 名")
