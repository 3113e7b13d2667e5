"""The routes of the live page."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from flowmine.errors import FlowmineError
from flowmine.report.html import live_files
from flowmine.web.desk import Desk, Outdated
from flowmine.web.guard import Door, Guard

__all__ = ["application"]

_MOST = 1 << 16
"""Bytes of a question; the page's are a few dozen."""

Handler = Callable[[Request], Awaitable[Response]]


def application(desk: Desk, door: Door) -> ASGIApp:
    """Return the guarded application."""
    routes = _Routes(desk, door)
    table: list[tuple[str, str, Handler]] = [
        ("/", "GET", routes.page),
        ("/static/{name}", "GET", routes.static),
        ("/events", "GET", routes.events),
        ("/draft", "GET", routes.draft),
        ("/draft/connection", "GET", routes.connection),
        ("/draft/start", "POST", routes.start),
        ("/draft/add", "POST", routes.add),
        ("/draft/remove", "POST", routes.remove),
        ("/draft/undo", "POST", routes.undo),
        ("/draft/redo", "POST", routes.redo),
        ("/save", "POST", routes.save),
    ]
    app = Starlette(routes=[Route(path, handler, methods=[method]) for path, method, handler in table])
    return Guard(app, door)


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """What the page may ask for: connections by their places in one version of the view, or what to start from."""

    view: int = 0
    places: list[int] = []
    origin: str = ""


class _Routes:
    def __init__(self, desk: Desk, door: Door) -> None:
        self._desk, self._door = desk, door
        self._files = live_files()

    async def page(self, _request: Request) -> Response:
        body = await run_in_threadpool(self._desk.page, self._door.csrf)
        return Response(body, media_type="text/html")

    async def static(self, request: Request) -> Response:
        """Answer with one of the files that there are, held in memory: no path leads to any other."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("no such file\n", 404)
        return Response(found[1], media_type=found[0])

    async def events(self, request: Request) -> Response:
        last = request.headers.get("last-event-id", "")
        return StreamingResponse(self._desk.news.stream(last), media_type="text/event-stream")

    async def draft(self, _request: Request) -> Response:
        return await _answer(self._desk.draft)

    async def connection(self, request: Request) -> Response:
        try:
            view, place = (int(request.query_params[name]) for name in ("view", "place"))
        except (KeyError, ValueError):
            return _problem("view and place are numbers", 400)
        return await _answer(self._desk.connection, view, place)

    async def start(self, request: Request) -> Response:
        return await self._changed(request, lambda asked: self._desk.start(asked.origin))

    async def add(self, request: Request) -> Response:
        return await self._changed(request, lambda asked: self._desk.add(asked.view, asked.places))

    async def remove(self, request: Request) -> Response:
        return await self._changed(request, lambda asked: self._desk.remove(asked.view, asked.places))

    async def undo(self, request: Request) -> Response:
        return await self._changed(request, lambda _: self._desk.undo())

    async def redo(self, request: Request) -> Response:
        return await self._changed(request, lambda _: self._desk.redo())

    async def save(self, request: Request) -> Response:
        return await self._changed(request, lambda _: self._desk.save())

    async def _changed(self, request: Request, change: Callable[[_Asked], Any]) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _problem("a change is asked for as application/json", 415)
        body = await _body(request)
        if body is None:
            return _problem("this is too long for a question of the page", 413)
        try:
            asked = msgspec.json.decode(body, type=_Asked)
        except msgspec.DecodeError as error:
            return _problem(f"not what the page asks: {error}", 400)
        return await _answer(change, asked)


async def _body(request: Request) -> bytes | None:
    """Return the body; None where it is longer than any of the page's."""
    found = bytearray()
    try:
        async for part in request.stream():
            found += part
            if len(found) > _MOST:
                return None
    except ClientDisconnect:
        return None
    return bytes(found)


async def _answer(ask: Callable[..., Any], *arguments: Any) -> Response:
    """Answer with JSON what is asked in a thread of its own; what cannot be done is a sentence."""
    try:
        value = await run_in_threadpool(ask, *arguments)
    except Outdated as error:
        return _problem(str(error), 409)
    except FlowmineError as error:
        return _problem(str(error), 422)
    return Response(msgspec.json.encode(value), media_type="application/json")


def _problem(text: str, status: int) -> Response:
    return Response(msgspec.json.encode({"problem": text}), status, media_type="application/json")
