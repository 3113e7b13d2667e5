"""What a file is, told by its content: one table of formats, the readable ones and those refused with a hint."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.capturegroups import Group, Span
from flowmine.ingest.captureread import Kept, Stored, kept, stored
from flowmine.ingest.framing import blocks
from flowmine.ingest.normal import record_kind
from flowmine.ingest.wrappers import Partials, payloads

__all__ = ["FORMATS", "HEAD", "Format", "first_time", "format_of", "holds_events"]

HEAD = 1 << 16
"""How many bytes of a file's content are looked at."""

Blocks = Callable[[Iterator[bytes], int, datetime], Iterator[Block | Unreadable]]
"""From chunks, a size and the moment by which the content was complete (for times without a year) to blocks."""


class Pieces(Protocol):
    """From a window's folder, columns of FLOWS and a span of time to pieces, ``apart`` some yet to be read."""

    def __call__(
        self, window: Path, columns: Collection[str], span: Span, /, *, apart: bool
    ) -> Iterator[Stored | Kept | Group]: ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format: whether the head of a file's content is of it, and how it is cut into blocks of JSON records.

    Windows of a capture are read by ``pieces`` instead. A format with neither is refused, with ``hint`` as the reason
    and the way out.
    """

    name: str
    matches: Callable[[bytes], bool]
    blocks: Blocks | None = None
    hint: str = ""
    pieces: Pieces | None = None

    @property
    def readable(self) -> bool:
        """Whether there is a way to read it."""
        return self.blocks is not None or self.pieces is not None


def holds_events(head: bytes) -> bool:
    """Tell whether any whole line or value in the head is, or wraps, a Hubble event; or a long one seems to be."""
    partials = Partials()
    for block in blocks(iter([head]), HEAD):
        if isinstance(block, Unreadable):
            continue
        for _, line in block.lines()[:200]:
            if _is_event(line, partials):
                return True
    return len(head) >= HEAD and bool(re.search(rb'\\?"(flow|verdict|l4|lost_events)\\?"\s*:', head))


def _is_event(line: bytes, partials: Partials) -> bool:
    try:
        for payload in payloads(line, partials):
            value = msgspec.json.decode(payload)
            if isinstance(value, dict) and record_kind(value):
                return True
    except (ValueError, RecursionError):
        pass
    return False


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _is_json(head: bytes) -> bool:
    return head.lstrip()[:1] in (b"{", b"[") or holds_events(head)


def _json_blocks(chunks: Iterator[bytes], size: int, _: datetime) -> Iterator[Block | Unreadable]:
    return blocks(chunks, size)


def _is_binary(head: bytes) -> bool:
    return b"\x00" in head[:4096] and not head.lstrip(b"\x00 \r\n\t").startswith((b"{", b"["))


def _is_text(head: bytes) -> bool:
    from flowmine.ingest.text import is_text  # which has many regular expressions, and few captures need

    return is_text(head)


def _text_blocks(chunks: Iterator[bytes], size: int, latest: datetime) -> Iterator[Block | Unreadable]:
    from flowmine.ingest.text import blocks as text_blocks

    return text_blocks(chunks, size, latest)


def _kind(kind: str) -> Callable[[bytes], bool]:
    return lambda head: bool(re.match(rb'\s*\{\s*"flowmine"\s*:\s*"' + kind.encode() + rb'"', head))


FORMATS: tuple[Format, ...] = (
    Format("window", _kind("capture"), pieces=stored),
    Format("state", _kind("state"), pieces=kept),
    Format("parquet", _starts(b"PAR1"), hint="a Parquet file; name the capture's folder"),
    Format("zip", _starts(b"PK\x03\x04"), hint="a zip archive (a sysdump?): unpack it, and name the folder"),
    Format(
        "tar", lambda head: head[257:262] == b"ustar", hint="a tar archive: unpack it, and name the folder"
    ),
    Format(
        "pcap",
        _starts(b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a"),
        hint="a packet capture, not a capture of flows: record with hubble observe -o jsonpb",
    ),
    Format("binary", _is_binary, hint="binary data, not a capture of Hubble flows"),
    Format("json", _is_json, _json_blocks),
    Format("text", _is_text, _text_blocks),
)
"""Looked through in order; content that none of them matches is no capture."""


def format_of(head: bytes) -> Format | None:
    """Return the format of a file from the head of its content (decompressed, without byte-order mark)."""
    return next((form for form in FORMATS if form.matches(head)), None)


_TIME = re.compile(rb'"time\\?"\s*:\s*\\?"([^"\\]{10,40})')


def first_time(data: bytes) -> str | None:
    """Return the first event time written in JSON bytes, as it stands."""
    found = _TIME.search(data, 0, HEAD)
    return found[1].decode("ascii", "replace") if found else None
