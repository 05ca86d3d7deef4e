"""What is secret in a message is put in as it leaves, and stands in no row: the database holds what it is made from."""

from __future__ import annotations

from collections.abc import Callable

from leverlock.domain.messages import Message
from leverlock.ports import Messenger


class Completing:
    """`ports.Messenger` before another one: completes each message, then has it delivered."""

    def __init__(self, inner: Messenger, complete: Callable[[Message], Message]) -> None:
        self._inner = inner
        self._complete = complete

    async def deliver(self, message: Message) -> None:
        """Raises what the inner one raises."""
        await self._inner.deliver(self._complete(message))
