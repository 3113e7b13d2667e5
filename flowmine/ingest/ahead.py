"""Work ahead of the reader in threads: what lets go of Python's lock there costs no time of the decoder."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Queue
from typing import TypeVar

__all__ = ["ahead", "each_ahead"]

_WAIT = 0.1
_Piece = TypeVar("_Piece")
_Made = TypeVar("_Made")


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


def each_ahead(work: Callable[[_Piece], _Made], given: Iterator[_Piece], threads: int = 2) -> Iterator[_Made]:
    """Yield what ``work`` makes of each piece, in their order, made in threads; its exception is raised here.

    Never more than one for each thread is made or in the making besides what was yielded.
    """
    with ThreadPoolExecutor(threads, "flowmine-ahead") as pool:
        making: deque[Future[_Made]] = deque()
        for one in given:
            making.append(pool.submit(work, one))
            if len(making) > threads:
                yield making.popleft().result()
        while making:
            yield making.popleft().result()
