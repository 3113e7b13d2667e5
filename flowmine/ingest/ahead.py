"""Work ahead of the reader in a thread: what lets go of Python's lock there costs no time of the decoder."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

__all__ = ["ahead"]

_WAIT = 0.1
_Piece = TypeVar("_Piece")


def ahead(chunks: Iterator[_Piece], depth: int = 3) -> Iterator[_Piece]:
    """Yield what ``chunks`` yields, made in a thread up to ``depth`` pieces ahead; its exception is raised here.

    The thread ends with the iterator, also where the reader stops early.
    """
    queue: Queue[_Piece | BaseException | None] = Queue(depth)
    stop = threading.Event()

    def put(item: _Piece | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                queue.put(item, timeout=_WAIT)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for chunk in chunks:
                if not put(chunk):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="flowmine-ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get(timeout=_WAIT)
            except Empty:
                if not thread.is_alive() and queue.empty():
                    return
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
