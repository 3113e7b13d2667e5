"""The path of a request's URL as Go's ``url.ParseRequestURI`` finds it, for that is what ``--http-path`` matches."""

import re
from urllib.parse import unquote

__all__ = ["request_path"]

_SCHEME = re.compile(r"([A-Za-z][-+.A-Za-z0-9]*):")
_BAD = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"(?:[^@]*@)?(?:\[[^\]]*\]|[^:\[\]\s]*)(?::[0-9]*)?")


def request_path(url: str) -> str | None:
    """Return the unescaped path, empty where the URL has none, or None where it is no URL of a request.

    >>> request_path("http://api.shop:8080/v1/items%2F42?full=1")
    '/v1/items/42'
    >>> request_path("/docs#top"), request_path("docs")
    ('/docs#top', None)
    """
    if not url or _BAD.search(url):
        return None
    if url == "*":
        return "*"
    scheme = _SCHEME.match(url)
    rest = (url[scheme.end() :] if scheme else url).partition("?")[0]
    if not rest.startswith("/"):
        return "" if scheme else None
    if scheme and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        if not _AUTHORITY.fullmatch(authority):
            return None
        rest = slash + path
    return None if _BAD_ESCAPE.search(rest) else unquote(rest)
