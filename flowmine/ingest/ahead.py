"""Work ahead of the reader in a thread: what lets go of Python's lock there costs no time of the decoder."""

import threading
from collections.abc import Iterator
from queue import Empty, Queue
from typing import TypeVar

__all__ = ["ahead"]

_WAIT = 0.1
_Piece = TypeVar("_Piece")


def ahead(chunks: Iterator[_Piece], depth: int = 3) -> Iterator[_Piece]:
    """Yield what ``chunks`` yields, made in a thread; its exception is raised here.

    Never more than ``depth`` pieces are made or in the making besides what was yielded.

    The thread ends with the iterator, also where the reader stops early.
    """
    queue: Queue[_Piece | BaseException | None] = Queue()
    free, stop = threading.Semaphore(depth), threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                if free.acquire(timeout=_WAIT):
                    piece = next(chunks, None)
                    queue.put(piece)
                    if piece is None:
                        return
        except BaseException as error:
            queue.put(error)

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
            free.release()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
