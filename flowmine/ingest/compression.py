"""Undo compression, told by content: gzip (any number of members), zstd, bzip2, xz; anything else passes through."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Protocol

__all__ = ["CutShort", "Readable", "compression_of", "decompress"]

_STEP, _STEPS = 1 << 14, {"zstd": 1 << 7}
"""Compressed bytes taken at a time: even the emptiest content gives less than 20 MB for them."""
_GATHERED = 1 << 18


class CutShort(Exception):
    """The stream ends in the middle, or cannot be read on from there; everything before it was passed on."""


class Readable(Protocol):
    """What can be read: `read` gives at most so many bytes, none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _isal() -> Any:
    from isal import isal_zlib

    return isal_zlib.decompressobj(wbits=31)


def _zstd() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()


_MAKERS: dict[str, tuple[bytes, Callable[[], Any]]] = {
    "gzip": (b"\x1f\x8b\x08", _gzip),
    "zstd": (b"\x28\xb5\x2f\xfd", _zstd),
    "bzip2": (b"BZh", bz2.BZ2Decompressor),
    "xz": (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
}
"""Name -> magic number, and a maker of decompressors that each undo one member and keep what follows it."""


def compression_of(head: bytes) -> str | None:
    """Return the name of the compression that the first bytes tell; None for none."""
    return next((name for name, (magic, _) in _MAKERS.items() if head.startswith(magic)), None)


def decompress(
    chunks: Iterator[bytes], again: Callable[[], Iterator[bytes]] | None = None
) -> Iterator[bytes]:
    """Yield the content of a stream given in pieces of any size, decompressed as its first bytes tell.

    With ``again``, which gives the same stream anew, gzip is inflated by isal, twice as fast as zlib; where the stream
    is broken, zlib reads it again, for only its state can be copied to salvage what comes before the break.
    Raise `CutShort` where a member ends too early or is corrupt, after all that could be read was yielded.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 6:
            break
    kind = compression_of(head)
    if kind is None:
        if head:
            yield head
        yield from chunks
    elif kind == "gzip" and again is not None:
        yield from _inflated(head, chunks, again)
    else:
        yield from _gathered(_members(kind, _pieces(head, chunks, _STEPS.get(kind, _STEP))))


def _inflated(head: bytes, chunks: Iterator[bytes], again: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    given = 0
    try:
        for content in _gathered(_members("gzip", _pieces(head, chunks, _STEP), _isal)):
            yield content
            given += len(content)
        return
    except CutShort:
        pass
    for content in decompress(again()):
        if len(content) > given:
            yield content[given:]
        given -= min(given, len(content))


def _gathered(contents: Iterator[bytes]) -> Iterator[bytes]:
    """Put small contents together, also those before a cut."""
    held: list[bytes] = []
    weight = 0
    try:
        for content in contents:
            held.append(content)
            weight += len(content)
            if weight >= _GATHERED:
                yield b"".join(held)
                held, weight = [], 0
    except CutShort:
        yield b"".join(held)
        raise
    if held:
        yield b"".join(held)


def _pieces(head: bytes, chunks: Iterator[bytes], step: int) -> Iterator[bytes]:
    """Cut large pieces up, so that what one of them decompresses to stays bounded."""
    for chunk in chain((head,), chunks):
        yield from (chunk[at : at + step] for at in range(0, len(chunk), step))


def _members(kind: str, pieces: Iterator[bytes], faster: Callable[[], Any] | None = None) -> Iterator[bytes]:
    magic, usual = _MAKERS[kind]
    make = faster or usual
    member, read = None, 0
    for piece in pieces:
        read += len(piece)
        data = piece
        while data:
            if member is None:
                data = data.lstrip(b"\x00")  # padding between members is allowed, as gzip does
                if not data:
                    break
                if not magic.startswith(data[: len(magic)]) and not data.startswith(magic):
                    raise CutShort(f"bytes that are not {kind} begin before compressed byte {read}")
                member = make()
            before = member.copy() if hasattr(member, "copy") else None
            try:
                content = member.decompress(data)
            except Exception as error:
                if before is not None:
                    yield from _salvaged(before, data)
                raise CutShort(f"corrupt {kind} data before compressed byte {read} ({error})") from error
            if content:
                yield content
            data = b""
            if member.eof:
                data, member = member.unused_data, None
    if member is not None:
        raise CutShort(f"the {kind} stream ends in the middle, at compressed byte {read}")


def _salvaged(member: Any, data: bytes) -> Iterator[bytes]:
    """Yield what can be read of compressed bytes that are corrupt somewhere, in smaller and smaller steps."""
    for step in (1024, 32, 1):
        while data:
            trial = member.copy()
            try:
                content = trial.decompress(data[:step])
            except Exception:  # each library has an error of its own; all mean the same here
                break
            member, data = trial, data[step:]
            if content:
                yield content
