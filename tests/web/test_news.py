"""News: the latest of each kind, numbered, to everybody who listens."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flowmine.web.news import News


def run(answer: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns, run in a thread of its own: this one's may have a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, answer).result()


def heard(news: News, last: str = "", count: int = 1) -> list[dict[str, str]]:
    """Return so many events that a page gets which connects with this Last-Event-ID."""

    async def listen() -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        stream = news.stream(last)
        async for part in stream:
            text = part.decode()
            if text.startswith("id: "):
                found.append(dict(line.split(": ", 1) for line in text.strip().split("\n")))
            if len(found) == count or text.startswith(": "):
                break
        await stream.aclose()
        return found

    found: list[dict[str, str]] = run(listen())
    return found


def test_the_latest_of_each_kind_is_told_in_order():
    """What was replaced is not told any more; what is said twice is told once."""
    news = News(heartbeat=0.01)
    for kind, value in (("view", 1), ("state", "a"), ("view", 2), ("state", "a")):
        news.tell(kind, value)
    assert [("state", '"a"'), ("view", "2")] == [(e["event"], e["data"]) for e in heard(news, count=2)]


def test_a_page_that_comes_back_is_told_what_it_missed():
    """After the number heard last only what is newer comes; a number of another run counts for nothing."""
    news = News(heartbeat=0.01)
    news.tell("view", 1)
    news.tell("state", "a")
    (first, second) = heard(news, count=2)
    assert [] == heard(news, second["id"])
    news.tell("view", 2)
    assert ["2"] == [each["data"] for each in heard(news, second["id"])]
    for other in ("other-2", "", "-", f"{first['id']}x", "\u0662"):
        assert 2 == len(heard(news, other, 2)), other


def test_no_text_can_end_an_event():
    """Line ends, colons and anything else in a value stay in the one line of data."""
    news = News(heartbeat=0.01)
    news.tell("state", "a\n\ndata: b\r\u2028\u0085event: view")
    (event,) = heard(news)
    assert {"id", "event", "data"} == set(event) and "state" == event["event"]


def test_closing_ends_every_stream():
    """A stream that waits ends when the news are closed, and nobody listens any more."""
    news = News()

    async def listen() -> int:
        async def close() -> None:
            await asyncio.sleep(0.05)
            assert 1 == news.listeners
            news.close()

        task = asyncio.create_task(close())
        parts = [part async for part in news.stream()]
        await task
        return len(parts)

    assert 1 == run(asyncio.wait_for(listen(), 5))
    assert 0 == news.listeners
