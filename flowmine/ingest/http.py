"""What is kept of a request's URL: path and authority; never a query, a fragment or a password unless asked."""

import re

__all__ = ["split_url"]

_URL = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?=//))?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.DOTALL,
)


def split_url(url: str, *, keep_query: bool = False) -> tuple[str, str | None]:
    """Return path and authority (host and port, None where the URL has none) of a URL as Hubble writes it.

    The path of a URL with a query ends in ``?``, or with ``keep_query`` in the query itself.

    >>> split_url("http://user:pw@api.shop:8080/v1/items?id=4")
    ('/v1/items?', 'api.shop:8080')
    >>> split_url("/a#b"), split_url("//api.shop:443")
    (('/a', None), ('', 'api.shop:443'))
    """
    found = _URL.fullmatch(url)
    if found is None:
        return url.split("?")[0], None
    authority, path, query = found["authority"], found["path"], found["query"]
    if not path and authority is not None and not url.startswith("//"):
        path = "/"
    if query:
        path += query if keep_query else "?"
    host = authority.rpartition("@")[2] if authority else None
    return path, host or None
