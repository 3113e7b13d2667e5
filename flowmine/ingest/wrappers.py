"""Log wrappers: what collectors put around a line that Hubble wrote, and how to take it off.

Text in front (container runtimes, ``kubectl logs --prefix``, syslog) is a table of patterns; objects around are a
table of keys, looked into in order and to a small depth, whatever they hold: an object, a text, a list of either.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from flowmine.ingest.normal import record_kind

__all__ = ["Partials", "payloads", "unwrapped"]

_DEPTH = 8
_LOOK = 16
"""Lines that are looked at to tell whether there is something around those of a block."""

_KEYS = (
    "_source",  # Elasticsearch and OpenSearch documents
    "log_processed",  # Azure, Fluent Bit's kubernetes filter with Merge_Log_Key
    "log",  # Docker's json-file, Fluent Bit
    "line",  # logcli -o jsonl, promtail
    "message",  # Vector, Logstash, Fluentd
    "msg",
    "MESSAGE",  # journald
    "@message",  # CloudWatch Logs Insights
    "body",  # OpenTelemetry
    "Body",
    "stringValue",
    "jsonPayload",  # Google Cloud Logging
    "textPayload",
    "event",  # Splunk HEC
    "_raw",  # Splunk export
    "result",
    "hits",  # Elasticsearch search responses
    "data",  # Loki query_range
    "values",
    "streams",
    "entries",
    "events",
    "records",
)
"""Where a collector's object keeps what was logged; the first that leads to a payload counts."""

_BULK_ACTIONS = frozenset({"index", "create", "update", "delete"})

_CRI = re.compile(rb"\S+T\S+ (?P<stream>stdout|stderr) (?P<tag>[FP])\S*(?: |\Z)(?P<text>.*)", re.DOTALL)
_USUAL = b'{"flow":{"time":"'
"""How a flow begins as Hubble prints it. Whether it goes on as one, whoever reads it finds out."""
_PREFIX = re.compile(rb"[^{]{1,512}?(?P<text>\{.*\})\]?\s*\Z", re.DOTALL)

_Fields = dict[str, msgspec.Raw]
_decode_object = msgspec.json.Decoder(_Fields).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Partials:
    """Lines that a container runtime cut in pieces (CRI's ``P`` tag, Docker's missing line end), until they are whole."""

    def __init__(self) -> None:
        """Begin with no piece held."""
        self._held: dict[bytes, bytes] = {}

    @property
    def count(self) -> int:
        """How many streams wait for the rest of a line."""
        return len(self._held)

    def joined(self, stream: bytes, text: bytes, *, more: bool) -> bytes | None:
        """Return the whole line that ends with this piece, or None when more is to come."""
        text = self._held.pop(stream, b"") + text
        if not more:
            return text
        self._held[stream] = text
        return None

    def rest(self) -> list[bytes]:
        """Return what was begun and never ended, and forget it."""
        rest, self._held = list(self._held.values()), {}
        return rest


def payloads(line: bytes, partials: Partials) -> Iterator[bytes]:
    """Yield the JSON objects inside a line that is no Hubble record itself; none for a line held as a piece.

    An object that holds no payload is yielded itself, so that nothing is lost unseen; Elasticsearch's bulk action
    lines are left out. Raise ValueError where the line is no JSON and no wrapper is known.
    """
    yield from _open(line.strip(), partials, 0)


def unwrapped(
    lines: Sequence[tuple[int, bytes]], partials: Partials
) -> tuple[list[bytes], tuple[int, ...]] | None:
    """Return what is inside of numbered lines as `payloads` gives it, one line each, and the number of the line it was in.

    A line that has none, or one of several lines, is returned as it is. Return None where there is nothing around lines,
    and where some are pieces of one: then there is no piece to be held yet, and none is.
    """
    if not any(_is_wrapped(text) for _, text in lines[:_LOOK]):
        return None
    texts: list[bytes] = []
    numbers: list[int] = []
    for number, line in lines:
        found = _inside(line, partials)
        if partials.count:
            partials.rest()
            return None
        texts += found
        numbers += [number] * len(found)
    return texts, tuple(numbers)


def _is_wrapped(line: bytes) -> bool:
    try:
        return list(payloads(line, Partials())) not in ([], [line.strip()])
    except (ValueError, RecursionError):
        return False


def _inside(line: bytes, partials: Partials) -> list[bytes]:
    try:
        found = list(payloads(line, partials))
    except (ValueError, RecursionError, OverflowError):
        return [line]
    return [line] if any(b"\n" in text for text in found) else found


def _open(text: bytes, partials: Partials, depth: int) -> Iterator[bytes]:
    if depth > _DEPTH:
        raise ValueError("wrapped too deeply")
    first = text[:1]
    if text.startswith(_USUAL):
        yield text
    elif first == b"{":
        yield from _open_object(text, partials, depth)
    elif first == b"[" and (items := _list(text)) is not None:
        found, held = 0, partials.count
        for item in items:
            if item[:1] in (b"{", b"[", b'"') and item != b"{}":
                for payload in _open_item(item, partials, depth):
                    found += 1
                    yield payload
        if items and not depth and not found and held == partials.count:
            raise ValueError("not a Hubble event")
    elif cri := _CRI.fullmatch(text):
        whole = partials.joined(cri["stream"], cri["text"], more=cri["tag"] == b"P")
        if whole:
            yield from _open(whole.strip(), partials, depth + 1)
    elif prefix := _PREFIX.fullmatch(text):
        yield from _open(prefix["text"], partials, depth + 1)
    elif text:
        raise ValueError("not a Hubble event" if _is_json(text) else "not JSON")


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _open_item(item: bytes, partials: Partials, depth: int) -> Iterator[bytes]:
    """Open a member of a list; one that cannot be opened is yielded itself, for it must not cost the others.

    A text that is no payload (a timestamp, a tag) is passed over.
    """
    try:
        if item[:1] != b'"':
            yield from _open(item, partials, depth + 1)
            return
        text = _decode_text(item).encode("utf-8", "replace").strip()
        if b"{" in text:
            yield from _open(text, partials, depth + 1)
    except (ValueError, RecursionError):
        yield item


def _open_object(text: bytes, partials: Partials, depth: int) -> Iterator[bytes]:
    fields = {key: bytes(value) for key, value in _decode_object(text).items()}
    if record_kind({key: {} if value[:1] == b"{" else value for key, value in fields.items()}):
        yield text
        return
    if len(fields) == 1 and _BULK_ACTIONS & fields.keys():
        return
    for key in _KEYS:
        value = fields.get(key, b"")
        if value[:1] == b'"':
            inner = _decode_text(value).encode("utf-8", "replace")
            if key == "log" and "stream" in fields and "time" in fields:
                whole = partials.joined(fields["stream"], inner, more=not inner.endswith(b"\n"))
                if whole is None:
                    return
                inner = whole
            if b"{" in inner:
                yield from _open(inner.strip(), partials, depth + 1)
                return
        elif value[:1] in (b"{", b"["):
            yield from _open(value, partials, depth + 1)
            return
    yield text


def _list(text: bytes) -> list[Any] | None:
    try:
        return [bytes(item) for item in _decode_list(text)]
    except ValueError:
        return None
