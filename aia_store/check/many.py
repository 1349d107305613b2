"""Ask many hosts at once, a bounded number at a time, and hear of them in their order."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

AT_ONCE = 64  # most of the time is waiting
MOST_AHEAD = 1_024  # answers that wait for an earlier one, so that memory is bounded

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_Tasks = queue.SimpleQueue["tuple[Future[Answer], Item] | None"]


def in_order(
    ask: Callable[[Item], Answer],
    items: Sequence[Item],
    at_once: int = AT_ONCE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Answer]:
    """What `ask` returns for each item, in their order, asked by so many threads; what it raises is raised here.

    `progress` hears from any thread how many are done, and of how many. Whoever stops listening stops the asking, but
    for what is under way: the threads do not hold the process.
    """
    tasks: _Tasks[Answer, Item] = queue.SimpleQueue()
    threads = min(at_once, len(items))
    for _ in range(threads):
        threading.Thread(target=_work, args=(ask, tasks), daemon=True).start()
    done = itertools.count(1)
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


def _work(ask: Callable[[Item], Answer], tasks: _Tasks[Answer, Item]) -> None:
    while (task := tasks.get()) is not None:
        future, item = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(ask(item))
        except BaseException as error:  # raised to whoever listens
            future.set_exception(error)
