"""Cut a stream of bytes into blocks of whole JSON values, one a line, whatever the file's own layout is.

Lines stay as they are. A JSON array, pretty-printed objects and objects without line ends between them are found by
their brackets, in bulk, so that a file of any size is read in bounded memory.
"""

import codecs
import re
from collections.abc import Iterator

import msgspec

from flowmine.ingest.blocks import LONGEST, Block, Unreadable, line_ends, too_long
from flowmine.ingest.brackets import values

__all__ = ["blocks", "by_line", "decoded_text", "is_by_value", "is_marked", "peeked"]

_BLANK = b" \t\r\n"
_BOMS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded_text(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same text as UTF-8 without a byte-order mark (PowerShell writes UTF-16)."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 3:
            break
    mark, encoding = next(((mark, name) for mark, name in _BOMS if head.startswith(mark)), (b"", ""))
    head = head[len(mark) :]
    if not encoding:
        yield head
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(head).encode("utf-8", "replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def is_marked(head: bytes) -> bool:
    """Tell whether a content begins with a byte-order mark."""
    return any(head.startswith(mark) for mark, _ in _BOMS)


def is_by_value(head: bytes) -> bool:
    """Tell from its beginning whether a file must be cut by brackets and not by lines."""
    text = head.lstrip(_BLANK)
    if re.match(rb"\[\s*(\{|\Z|\])", text):
        return True
    if not text.startswith(b"{"):
        return False
    lines = [line for line in text.split(b"\n", 64) if line.strip()]
    if len(lines) == 1:
        return b"\n" not in text
    try:
        msgspec.json.decode(lines[0])
    except (ValueError, RecursionError) as error:
        return "truncated" in str(error) and not lines[1].lstrip().startswith(b'{"')
    return False


def blocks(chunks: Iterator[bytes], size: int) -> Iterator[Block | Unreadable]:
    """Yield the content as blocks of about ``size`` bytes, and what could not be cut, in order."""
    head, chunks = peeked(chunks, 1 << 16)
    if is_by_value(head):
        yield from values(chunks, size)
    else:
        yield from by_line(chunks, size)


def peeked(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning of a content, up to ``size`` bytes, and the whole content."""
    parts: list[bytes] = []
    held = 0
    for chunk in chunks:
        parts.append(chunk)
        held += len(chunk)
        if held >= size:
            break
    head = b"".join(parts)

    def again() -> Iterator[bytes]:
        yield head
        yield from chunks

    return head[:size], again()


def by_line(chunks: Iterator[bytes], size: int) -> Iterator[Block | Unreadable]:
    """Yield the lines of a content in blocks of about ``size`` bytes, and what is too long for a line, in order.

    No block is held when the next is taken, so that whoever lets go of each has one at a time in memory.
    """
    parts: list[bytes] = []
    held, line, dropping = 0, 1, False
    for chunk in chunks:
        if dropping:
            _, end, chunk = chunk.partition(b"\n")
            if not end:
                continue
            line, dropping = line + 1, False
        cut = chunk.rfind(b"\n") + 1
        if held + cut >= size and cut:
            data = b"".join((*parts, memoryview(chunk)[:cut])) if parts or cut < len(chunk) else chunk
            block = Block(data, line)
            yield block
            line += block.ends
            parts, held = [chunk[cut:]] if cut < len(chunk) else [], len(chunk) - cut
            del data, block, chunk  # and then take the next
            continue
        parts.append(chunk)
        held += len(chunk)
        if held > LONGEST:
            data = b"".join(parts)
            cut = data.rfind(b"\n") + 1
            if cut:
                yield Block(data[:cut], line)
                line += line_ends(data)
                parts, held = [data[cut:]], len(data) - cut
            else:
                yield too_long(line, LONGEST)
                parts, held, dropping = [], 0, True
    data = b"".join(parts)
    if data:
        yield Block(data, line, unended=not data.endswith(b"\n"))
