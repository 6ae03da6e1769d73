"""Threads that each make passes of their own: small products share badly, passes well.

A product of a small model is too short for threads to divide, and what lies between products is
seldom divided at all; two passes on a core each take little more time than one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from farthing.learn.native import add

Item = TypeVar("Item")
Result = TypeVar("Result")


def added(parameters: Iterable[Tensor], gradients: Iterable[Tensor | None]) -> None:
    """Adds gradients to parameters' own, in the parameters' dtype; None is of one not met."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            # a copy: two parameters may have been given one tensor, and it is changed in place
            parameter.grad = gradient.to(parameter.dtype, copy=True)
        else:
            add(parameter.grad, gradient)


class Team:
    """Of as many threads as there are passes to make, and torch's threads allow; each has its
    share of those. Of one, it is the caller's own."""

    def __init__(self, passes: int) -> None:
        threads = torch.get_num_threads()
        self.size = max(1, min(threads, passes))
        self.pool: ThreadPoolExecutor | None = None
        if self.size > 1:
            self.pool = ThreadPoolExecutor(
                self.size,
                thread_name_prefix="pass",
                initializer=torch.set_num_threads,
                initargs=(threads // self.size,),
            )

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in order; at most one more than there are threads is under way or waits."""
        if self.pool is None:
            yield from map(work, items)
            return
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(self.pool.submit(work, item))
            if len(waiting) > self.size:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
