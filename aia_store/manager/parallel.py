"""Call a function for many items in parallel, up to a limit, and give the answers in order."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

AT_ONCE = 64  # so many, because most of the time is spent waiting
MOST_AHEAD = 1_024  # answers that may wait for an earlier one, to limit memory

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_Tasks = queue.SimpleQueue["tuple[Future[Answer], Item] | None"]


def in_order(
    ask: Callable[[Item], Answer],
    items: Sequence[Item],
    at_once: int = AT_ONCE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Answer]:
    """Yield what `ask` returns for each item, in the items' order. Threads call `ask`; its errors are raised here.

    `progress` is called from any thread with the number of finished items and the total. If the caller stops iterating,
    no further items are begun. The threads do not keep the process alive. If the system refuses some of the threads,
    the others do the work; if it refuses all, the caller's thread calls `ask`.
    """
    tasks: _Tasks[Answer, Item] = queue.SimpleQueue()
    threads = _started(min(at_once, len(items)), ask, tasks)
    done = itertools.count(1)
    if not threads:
        for item in items:
            answer = ask(item)
            progress(next(done), len(items))
            yield answer
        return
    waiting: deque[Future[Answer]] = deque()
    try:
        for item in items:
            if len(waiting) >= MOST_AHEAD:
                yield waiting.popleft().result()
            future: Future[Answer] = Future()
            future.add_done_callback(lambda _: progress(next(done), len(items)))
            waiting.append(future)
            tasks.put((future, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for _ in range(threads):
            tasks.put(None)


def _started(most: int, ask: Callable[[Item], Answer], tasks: _Tasks[Answer, Item]) -> int:
    """Start threads; returns how many could be started."""
    for number in range(most):
        try:
            threading.Thread(target=_work, args=(ask, tasks), daemon=True).start()
        except RuntimeError:  # a limit of the user or of the control group
            return number
    return most


def _work(ask: Callable[[Item], Answer], tasks: _Tasks[Answer, Item]) -> None:
    while (task := tasks.get()) is not None:
        future, item = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(ask(item))
        except BaseException as error:  # raised again for the caller
            future.set_exception(error)
