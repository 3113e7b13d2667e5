"""Who may ask: the one who has the token, from the page itself, under a name that nobody else can own.

| danger                                             | what stands against it                                            |
|----------------------------------------------------|-------------------------------------------------------------------|
| other users and programs of the machine            | a token, in the address once and then in a cookie that is theirs  |
| a name of somebody's own that leads here (rebinding) | the Host header must be a loopback name (or an address) and port |
| a form or script of another site                   | Origin or Sec-Fetch-Site, a token in a header, a SameSite cookie  |
| the address leaking                                | no referrer, and the token leaves the address at once             |
| text of a capture that becomes markup              | no script, style or frame but the page's own files                |
"""

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CSP", "CSRF_HEADER", "Door", "Guard"]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What the page may load and run: its own files alone, and no text ever as markup."""

_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

CSRF_HEADER = "x-flowmine-csrf"
_LOST = "this address needs its token: open the one that `flowmine ui` printed, or start it again\n"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the page is served, and the secrets of one run: ``token`` for the address, the others for the page."""

    port: int
    names: frozenset[str]
    any_address: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def cookie(self) -> str:
        """The cookie's name: cookies know no ports, so each has one of its own."""
        return f"flowmine-{self.port}"

    def is_known(self, host: str) -> bool:
        """Tell whether a Host header names this server; no name of somebody's own can be an address."""
        name, port = _split(host)
        if port != str(self.port) and not (port == "" and self.port == 80):
            return False
        return name.lower() in self.names or (self.any_address and _is_address(name))


def _split(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware that lets nobody through but the page, and gives every answer the headers that protect it."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        """Guard ``app``."""
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, protected)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return what is answered in place of the page; None where the request may pass."""
        headers = Headers(scope=scope)
        if not self._door.is_known(_only(headers.getlist("host"))):
            return PlainTextResponse("no such host here\n", 421)
        read = scope["method"] in ("GET", "HEAD")
        if read and scope["path"] == "/" and (token := _token(scope)) is not None:
            return self._admitted(token)
        if not self._has_session(headers.getlist("cookie")):
            return PlainTextResponse(_LOST, 403)
        if not read and not self._is_own(headers):
            return PlainTextResponse("only the page itself may change anything\n", 403)
        return None

    def _admitted(self, token: str) -> Response:
        """Take the token out of the address: the cookie has its place, which no script can read."""
        if not _same(token, self._door.token):
            return PlainTextResponse(_LOST, 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._door.cookie, self._door.session, path="/", httponly=True, samesite="strict")
        return answer

    def _has_session(self, cookies: Iterable[str]) -> bool:
        for text in cookies:
            try:
                found = SimpleCookie(text).get(self._door.cookie)
            except CookieError:
                continue
            if found is not None and _same(found.value, self._door.session):
                return True
        return False

    def _is_own(self, headers: Headers) -> bool:
        """Tell whether a change is asked for by the page: browsers say where a request comes from, and only it has the token."""
        origin = headers.get("origin")
        if origin is not None:
            own = origin == f"http://{headers['host']}"
        else:
            own = headers.get("sec-fetch-site") == "same-origin"
        return own and _same(headers.get(CSRF_HEADER, ""), self._door.csrf)


def _token(scope: Scope) -> str | None:
    found = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return found[0] if found else None


def _only(values: list[str]) -> str:
    """Return the one value of a header; nothing where there is none, or several."""
    return values[0] if len(values) == 1 else ""


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
