"""Path templates by evidence."""

import random
import uuid

import pytest

from flowmine.synth.options import Options
from flowmine.synth.paths import Request, learn


def _written(requests: list[Request], options: Options | None = None) -> list[str]:
    found = learn(requests, options or Options())
    return ["/".join(part.text for part in each.parts) + ("?" if each.query else "") for each in found]


def _uuid(seed: int) -> str:
    return str(uuid.UUID(int=random.Random(seed).getrandbits(128), version=4))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "42"], "/x/[0-9]+"),
        (["7"], "/x/[0-9]+"),
        (["2024-05-01"], "/x/[0-9-]+"),
        (["7acf6832e1753f63", "0a1b2c3d4e5f6071"], "/x/[0-9a-fA-F]+"),
        ([_uuid(1), _uuid(2)], "/x/[0-9a-fA-F-]+"),
        (["12", "7acf6832e1753f63"], "/x/[0-9a-fA-F]+"),
        (["12", _uuid(1)], "/x/[0-9a-fA-F-]+"),
        (["order-20241", "order-99812"], "/x/[^/?]+"),
        (["deadbeefcafe", "7acf6832e175"], "/x/[0-9a-fA-F]+"),
    ],
)
def test_ids_are_parameters_at_first_sight(values: list[str], expected: str) -> None:
    """A value that looks like an id stands for its kind, as narrowly as all values in its place allow."""
    assert [expected] == _written([Request("GET", f"/x/{value}") for value in values])


@pytest.mark.parametrize(
    "word", ["v1", "oauth2", "log4j", "cart", "s3", "ipv4", ".well-known", "hello%20world"]
)
def test_words_are_words(word: str) -> None:
    """Names of things stay, digits in them or not."""
    assert [f"/{word}"] == _written([Request("GET", f"/{word}")])


def test_an_api_version_is_no_parameter() -> None:
    """One short number in a place, seen again and again, belongs to the path."""
    assert _written([Request("GET", "/api/2/issue", 50)]) == ["/api/2/issue"]


def test_many_words_seen_once_are_a_parameter() -> None:
    """Six words with the same paths behind them, each seen once, are one parameter, for all methods."""
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
    requests = [Request("GET", f"/docs/{word}/edit") for word in words] + [Request("PUT", "/docs/eta/edit")]
    (template,) = learn(requests, Options())
    assert template.methods == ("GET", "PUT")
    assert [part.text for part in template.parts] == ["", "docs", "[^/?]+", "edit"]
    assert template.parts[2].values == 7


def test_routes_seen_often_are_routes() -> None:
    """As many words, each seen many times, are the application's routes."""
    words = ["cart", "login", "logout", "search", "help", "about", "terms"]
    assert [f"/{word}" for word in sorted(words)] == _written(
        [Request("GET", f"/{word}", 90) for word in words]
    )


def test_a_busy_route_beside_slugs_stays_itself() -> None:
    """A word seen far more often than its like is a route among values."""
    requests = [Request("GET", f"/u/{word}") for word in ("ann", "bob", "cid", "dan", "eve", "fay", "gil")]
    assert sorted(_written([*requests, Request("GET", "/u/search", 400)])) == ["/u/[^/?]+", "/u/search"]


def test_a_query_is_kept_where_one_was_seen() -> None:
    """The template knows a query was seen, and only that of its own paths."""
    requests = [Request("GET", "/a/1?"), Request("GET", "/a/2"), Request("GET", "/b/1")]
    assert _written(requests) == ["/a/[0-9]+?", "/b/[0-9]+"]


def test_length_and_trailing_slash_part_templates() -> None:
    """A parameter is one segment: a path with a slash at its end is another path."""
    requests = [Request("GET", "/a/1"), Request("GET", "/a/1/"), Request("GET", "/"), Request("GET", "")]
    assert sorted(_written(requests)) == ["/", "/a/[0-9]+", "/a/[0-9]+/"]


def test_exact_keeps_every_path() -> None:
    """With generalisation off, paths are themselves, ids and all."""
    requests = [Request("GET", f"/docs/{n}") for n in range(12)] + [
        Request("GET", f"/w/{c}") for c in "abcdefgh"
    ]
    assert sorted(each.path for each in requests) == sorted(_written(requests, Options().exact()))


def test_order_does_not_matter() -> None:
    """The same requests give the same templates in any order."""
    requests = [
        Request("GET", f"/{a}/{b}") for a in ("x", "y") for b in ("1", "aa", "bb", "cc", "dd", "ee", "ff")
    ]
    shuffled = requests[:]
    random.Random(3).shuffle(shuffled)
    assert learn(requests, Options()) == learn(shuffled, Options())
