"""Where the server is: addresses, options, HUBBLE_* variables and Hubble's configuration file."""

from pathlib import Path
from typing import Any

import pytest

from flowmine.errors import UsageError
from flowmine.ingest.relay.address import Place, Server, place_of
from flowmine.ingest.relay.settings import server_of, settings


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:4245", Place(host="localhost", port=4245)),
        ("tls://relay.example:443", Place(host="relay.example", port=443)),
        ("[::1]:4245", Place(host="::1", port=4245)),
        ("dns:///relay:80", Place(host="relay", port=80)),
        ("passthrough:///relay:80", Place(host="relay", port=80)),
        ("unix:///var/run/cilium/hubble.sock", Place(path="/var/run/cilium/hubble.sock")),
        ("unix:hubble.sock", Place(path="hubble.sock")),
    ],
)
def test_addresses_are_taken_apart(address: str, expected: Place) -> None:
    """An address is a host and a port, with or without a scheme, or a socket's path."""
    assert place_of(address) == expected


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("relay", "relay: no port; hubble-relay is at 4245"),
        ("::1", "::1: no port"),
        ("relay:http", "relay:http: 'http' is no port"),
        ("relay:70000", "relay:70000: '70000' is no port"),
        ("http://relay:80", "http://relay:80: http:// is no way to a Hubble server"),
        ("unix:///", "unix:///: no path of a socket"),
        ("", ": no port"),
    ],
)
def test_addresses_that_cannot_be_are_refused(address: str, message: str) -> None:
    """What is no address is told with what to write."""
    with pytest.raises(UsageError) as refused:
        place_of(address)
    assert str(refused.value)[: len(message)] == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"client_cert": "a.crt"}, "a client certificate takes both"),
        ({"tls": True, "username": "me"}, "basic authentication takes both"),
        (
            {"username": "me", "password": "secret"},
            "basic authentication without TLS would show the password",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    """Half a pair, or a password in the clear, is refused before anything is sent."""
    with pytest.raises(UsageError) as refused:
        Server("relay:80", **options)
    assert str(refused.value)[: len(message)] == message


def test_a_password_is_not_shown() -> None:
    """The server's own text has no password in it; the header has, encoded as HTTP does."""
    server = Server("tls://relay:443", username="me", password="secret")
    assert "secret" not in repr(server)
    assert server.headers == (("authorization", "Basic bWU6c2VjcmV0"),)


def home(tmp_path: Path, text: str, *, old: bool = False) -> dict[str, str]:
    """An environment in whose home is a configuration of Hubble's."""
    folder = tmp_path / (".hubble" if old else ".config/hubble")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(text)
    return {"HOME": str(tmp_path)}


def test_an_option_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    """Of three places the nearest counts, setting by setting."""
    environment = home(tmp_path, "server: file:1\ntls: true\ntls-server-name: file\n")
    environment |= {"HUBBLE_SERVER": "variable:1", "HUBBLE_TLS_SERVER_NAME": "variable"}
    found = settings({"server": "option:1"}, environment)
    assert found == {"server": "option:1", "tls": True, "tls-server-name": "variable"}


@pytest.mark.parametrize("old", [False, True])
def test_the_file_is_found_where_hubble_has_it(tmp_path: Path, old: bool) -> None:
    """Both of Hubble's places are looked at; lists are lists or texts with commas."""
    environment = home(
        tmp_path, "Server: tls://relay:443\ntls-ca-cert-files: [a.crt, b.crt]\ndebug: true\n", old=old
    )
    assert settings({}, environment) == {"server": "tls://relay:443", "tls-ca-cert-files": ("a.crt", "b.crt")}


def test_the_file_may_be_named(tmp_path: Path) -> None:
    """HUBBLE_CONFIG names the file, and XDG_CONFIG_HOME its folder."""
    own = tmp_path / "own.yaml"
    own.write_text("port-forward: true\n")
    assert settings({}, {"HUBBLE_CONFIG": str(own), "HOME": str(tmp_path)}) == {"port-forward": True}
    environment = home(tmp_path, "tls: true\n")
    assert settings({}, {"XDG_CONFIG_HOME": f"{environment['HOME']}/.config"}) == {"tls": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- a", "its top must be a mapping"),
        ("tls: maybe", "tls: expected true or false, not 'maybe'"),
        ("tls-ca-cert-files: {}", "tls-ca-cert-files: expected a list of files"),
        ("tls-ca-cert-files: [[a]]", "tls-ca-cert-files: expected a list of files"),
        (f"server: {'[' * 5000}", "not YAML"),
        ("server: 2021-99-99", "not YAML"),
        ("a: &a [x]\nserver: [*a, *a]", "server: expected a text"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    """A configuration that cannot be is an error which names the file."""
    environment = home(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        settings({}, environment)
    assert message in str(refused.value)
    assert "config.yaml" in str(refused.value)


def test_variables_are_read_as_hubble_reads_them() -> None:
    """Truths in all of Go's spellings, lists with commas or blanks."""
    environment = {"HUBBLE_TLS": "T", "HUBBLE_TLS_ALLOW_INSECURE": "0", "HUBBLE_TLS_CA_CERT_FILES": "a,b c"}
    found = settings({}, environment)
    assert found == {"tls": True, "tls-allow-insecure": False, "tls-ca-cert-files": ("a", "b", "c")}


def test_settings_describe_a_server() -> None:
    """Every setting has its place, and another address may stand in."""
    found = settings(
        {"server": "relay:80", "tls": True, "tls-ca-cert-files": ("a,b",), "tls-server-name": "x"}, {}
    )
    assert server_of(found) == Server("relay:80", tls=True, ca_files=("a", "b"), server_name="x")
    assert server_of({}, "127.0.0.1:9").address == "127.0.0.1:9"
    assert server_of({}).address == "localhost:4245"
