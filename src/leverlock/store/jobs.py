"""Queued use cases, and how those who wait for them are told: each after the commit that carries it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from leverlock.ports import UseCase

T = TypeVar("T")


@dataclass(slots=True)
class Job(Generic[T]):
    """A queued use case. Who waits for it is a thread, or a task on `loop`. `queued_at` is of the monotonic clock.

    `at_mark`: it has a time even while others have none.
    """

    use_case: UseCase[T]
    future: Future[T] | asyncio.Future[T]
    loop: asyncio.AbstractEventLoop | None = None
    queued_at: float = field(default_factory=time.monotonic)
    at_mark: bool = False
    result: Any = None
    problem: BaseException | None = None

    def begins(self) -> bool:
        """Whether somebody still waits for it. After this nobody can take it back: it is counted and answered."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()

    def settle(self) -> None:
        """Tell who waits, in his own thread or on his own loop."""
        if self.future.done():
            return  # a task that was cancelled while its use case ran
        if self.problem is not None:
            self.future.set_exception(self.problem)
        else:
            self.future.set_result(self.result)


def answer(batch: Sequence[Job[Any]]) -> None:
    """Tell everybody who waits. A loop is woken once for all of its tasks; a wake-up costs as much as a statement."""
    on_loops: dict[asyncio.AbstractEventLoop, list[Job[Any]]] = {}
    for job in batch:
        if job.loop is None:
            job.settle()
        else:
            on_loops.setdefault(job.loop, []).append(job)
    for loop, jobs in on_loops.items():
        try:
            loop.call_soon_threadsafe(_settle, jobs)
        except RuntimeError:
            pass  # the loop was closed meanwhile: nobody waits there any more


def _settle(jobs: Sequence[Job[Any]]) -> None:
    for job in jobs:
        job.settle()
