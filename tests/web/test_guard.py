"""Who may ask the live page for what, over real connections."""

import http.client
import json
from collections.abc import Iterator

import pytest

from flowmine.web.guard import CSP, Door
from tests.web.making import Served, sample_desk, serving


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Return a page of a sample, served."""
    with serving(sample_desk("empire")) as found:
        yield found


def asked(served, method, path, body=None, **headers):
    """Return the answer to a request with just these headers: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.door.port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    if data is not None:
        connection.putheader("content-length", str(len(data)))
    connection.endheaders(data)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


def own(served, **more):
    """Return the headers with which the page itself asks."""
    return {
        "host": f"127.0.0.1:{served.door.port}",
        "cookie": f"{served.door.cookie}={served.door.session}",
        "content_type": "application/json",
        "origin": served.address,
        "x_flowmine_csrf": served.door.csrf,
    } | more


def test_the_token_becomes_a_cookie_and_leaves_the_address(served):
    """The address with the token answers with a cookie that no script reads and no other site sends, and leads to `/`."""
    status, headers, _ = asked(served, "GET", f"/?token={served.door.token}", host=own(served)["host"])
    assert (303, "/") == (status, headers["location"])
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(headers["set-cookie"].split("; "))
    assert served.door.token not in headers["set-cookie"]


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/draft", "/static/page.js", "/events", "/no"]
)
def test_nothing_is_told_without_the_token(served, path):
    """Whoever has neither token nor cookie, or wrong ones, learns nothing, not even which paths there are."""
    for cookie in ({}, {"cookie": f"{served.door.cookie}=wrong"}, {"cookie": "\x7f=;;;"}):
        status, _, content = asked(served, "GET", path, host=own(served)["host"], **cookie)
        assert (403, True) == (status, b"needs its token" in content)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost:1",
        "127.0.0.1.evil.example:{port}",
        "[::1]:{port}",
        "",
    ],
)
def test_other_names_are_refused(served, host):
    """A name of somebody's own that leads here (DNS rebinding) is refused, cookie or not; so is another port."""
    headers = own(served, host=host.format(port=served.door.port))
    assert 421 == asked(served, "GET", "/", **headers)[0]


def test_own_names_are_taken(served):
    """Both names of this machine lead to the page."""
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        assert 200 == asked(served, "GET", "/draft", **own(served, host=f"{name}:{served.door.port}"))[0]


def test_the_policy_is_exactly_this(served):
    """Only the page's own files run, nothing frames it, nothing becomes markup; every answer says so, refusals too."""
    expected = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    assert expected == CSP
    for path, headers in (("/", own(served)), ("/no", own(served)), ("/", {"host": "evil.example"})):
        _, found, _ = asked(served, "GET", path, **headers)
        assert (expected, "nosniff", "no-referrer", "no-store") == tuple(
            found[name]
            for name in (
                "content-security-policy",
                "x-content-type-options",
                "referrer-policy",
                "cache-control",
            )
        )


def test_the_page_holds_no_script_and_no_style_of_its_own(served):
    """The live page names its files; what stands in it is data, which no browser runs."""
    _, _, content = asked(served, "GET", "/", **own(served))
    text = content.decode()
    assert "<style" not in text and " style=" not in text and " onclick" not in text
    assert 1 == text.count('<script src="static/page.js"></script>')
    assert 2 == text.count("<script") and '<script type="application/octet-stream" id="data">' in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1:1"},
        {"x_flowmine_csrf": "wrong"},
        {"x_flowmine_csrf": ""},
    ],
)
@pytest.mark.parametrize(
    "path", ["/draft/add", "/draft/remove", "/draft/start", "/draft/undo", "/draft/redo", "/save"]
)
def test_other_sites_change_nothing(served, path, wrong):
    """A change from another origin, or without the page's token, is refused although the cookie is right."""
    before = served.desk.draft().revision
    headers = own(served, **{name: value.format(port=served.door.port) for name, value in wrong.items()})
    assert 403 == asked(served, "POST", path, {}, **headers)[0]
    assert before == served.desk.draft().revision


def test_a_browser_that_says_no_origin_says_where_it_is_from(served):
    """Without Origin the fetch metadata must say same-origin; without both a change is refused."""
    headers = own(served)
    del headers["origin"]
    for site, expected in (
        (None, 403),
        ("cross-site", 403),
        ("same-site", 403),
        ("none", 403),
        ("same-origin", 200),
    ):
        more = {} if site is None else {"sec_fetch_site": site}
        assert expected == asked(served, "POST", "/draft/undo", {}, **headers, **more)[0]


def test_changes_are_posts_of_json(served):
    """No GET changes anything, no form is taken, and what is too long or no question of the page is refused."""
    for path in ("/draft/add", "/draft/undo", "/save"):
        assert 405 == asked(served, "GET", path, **own(served))[0]
    assert 415 == asked(served, "POST", "/draft/undo", {}, **own(served, content_type="text/plain"))[0]
    assert 413 == asked(served, "POST", "/draft/undo", b" " * 70_000, **own(served))[0]
    for body in (b"{", b"[]", {"view": "x"}, {"path": "/etc/passwd"}, {"places": [1.5]}):
        assert 400 == asked(served, "POST", "/draft/add", body, **own(served))[0]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../guard.py",
        "/static/%2e%2e/guard.py",
        "/static/..%2fguard.py",
        "/static//etc/passwd",
        "/static/",
        "/static/base.js",
    ],
)
def test_no_path_leads_to_another_file(served, path):
    """The files of the page are held by name; nothing else is there."""
    assert 404 == asked(served, "GET", path, **own(served))[0]


def test_places_outside_the_view_are_refused(served):
    """Connections that there are none of, and versions long gone, are told to look again."""
    for body in ({"view": 1, "places": [10**6]}, {"view": 1, "places": [-1]}, {"view": 99, "places": [0]}):
        assert 409 == asked(served, "POST", "/draft/add", body, **own(served))[0]
    assert 409 == asked(served, "GET", "/draft/connection?view=1&place=-1", **own(served))[0]
    assert 400 == asked(served, "GET", "/draft/connection?view=x", **own(served))[0]


def test_beyond_the_machine_addresses_are_names_that_nobody_else_owns():
    """Where others may reach it, any address is taken as Host, for a rebound name is none; other names are not."""
    door = Door(8000, frozenset({"box"}), any_address=True)
    assert door.is_known("10.0.0.7:8000") and door.is_known("[fd00::1]:8000") and door.is_known("box:8000")
    assert not door.is_known("evil.example:8000") and not door.is_known("10.0.0.7:80")
