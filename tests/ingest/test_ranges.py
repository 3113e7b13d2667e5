"""Ranges of a file are read block by block, in the memory of one."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from flowmine.ingest.blocks import Block
from flowmine.ingest.framing import by_line
from flowmine.ingest.stores import opened, whole_lines

_LINE = b"x" * 999 + b"\n"


def test_a_chunk_is_let_go_before_the_next_is_read(tmp_path: Path) -> None:
    """Whoever keeps none has no more than one of them in memory at any time."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(_LINE * 8000)
    with opened(str(path)) as file:
        tracemalloc.start()
        try:
            for chunk in whole_lines(file, str(path), 1_000_000):
                assert chunk.endswith(b"\n")
                del chunk
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 1_000_000 < peak < 1_500_000


def test_a_block_is_let_go_before_the_next_is_taken() -> None:
    """A block of one chunk goes with whoever took it, and not with the next block."""
    gone: list[int] = []

    class Chunk(bytes):
        def __del__(self) -> None:
            gone.append(len(self))

    def chunks() -> Iterator[bytes]:
        for number in range(5):
            assert number == len(gone)
            yield Chunk(_LINE * 10)

    lines = 0
    for block in by_line(chunks(), 1000):
        assert isinstance(block, Block)
        lines += len(block.data) // len(_LINE)
        del block
    assert (50, 5) == (lines, len(gone))
