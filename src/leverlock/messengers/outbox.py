"""The outbox: delivers what was committed, at least once, each message always under the same id (B39, C7).

A message is a row until its receiver has taken it. It is tried at once, then with growing pauses until it expires;
whatever dies in between (this process, the database, the receiver) leaves the row, and with it the next try. Receivers
are kept apart: each has a lane of its own, and those that failed last time share a few slots among themselves, so that
one that hangs delays nobody else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from leverlock.domain.limits import HOUR, MINUTE, SECOND
from leverlock.domain.messages import Channel, Message
from leverlock.ports import Clock, DeliveryFailed, Messenger, Store, Transaction, UseCase

# Milliseconds to wait after the first, second, … failed try; the last one repeats until the message expires.
BACK_OFF: Final = (1 * SECOND, 5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 1 * HOUR)
BEHIND_MS: Final = 30 * SECOND  # a receiver with a full lane gets its further messages this much later
POLL_SECONDS: Final = 0.5  # finds retries that came due and what other processes committed: a ring takes below 2 s
OUTAGE_SECONDS: Final = 0.5  # between two tries to reach a store that is away
GRACE_SECONDS: Final = 0.5  # what is under way when the outbox stops may end within this
DELIVERY_SECONDS: Final = 30.0  # no messenger may take longer, whatever its own time-outs are
PAGE: Final = 100  # messages taken per look at the table
HELD_MOST: Final = 1_000  # messages in memory at once
LANE_MOST: Final = 50  # of these, for one receiver
LANE_AT_ONCE: Final = 2
SLOTS: Final = 48  # deliveries at once to receivers in good standing
DOUBTFUL_SLOTS: Final = 16  # and to those whose last delivery failed
REASON_MOST: Final = 200

log = structlog.get_logger("leverlock.outbox")

Target = tuple[Channel, str]


@dataclass(slots=True)
class Tally:
    """How deliveries of this process ended, for metrics."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


class Outbox:
    """Call `look` again and again, at the latest after `POLL_SECONDS`, sooner once `woken` is set; `close` ends it.

    One process at a time should do so for a store.
    """

    def __init__(self, store: Store, messengers: Mapping[Channel, Messenger], *, clock: Clock) -> None:
        self.tally = Tally()
        self._store = store
        self._messengers = messengers
        self._clock = clock
        self.woken = asyncio.Event()
        self._held: dict[str, asyncio.Task[None]] = {}
        self._lane_length: Counter[Target] = Counter()
        self._lanes: dict[Target, asyncio.Semaphore] = {}
        self._failed_last: set[Target] = set()
        self._slots = asyncio.Semaphore(SLOTS)
        self._doubtful_slots = asyncio.Semaphore(DOUBTFUL_SLOTS)

    def wake(self) -> None:
        """Look at once: something was committed. Call it on the event loop's thread."""
        self.woken.set()

    async def close(self) -> None:
        """Let what is under way end within `GRACE_SECONDS`; the rest stays a row and is sent by whoever comes next."""
        tasks = list(self._held.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # -- taking ------------------------------------------------------------------------------------------------------
    async def look(self) -> bool:
        """Start to deliver what is due; True when there may be more right now. Raises what the store raises.

        What is under way does not care whether a look fails: its rows are marked when the store is back.
        """
        room = min(PAGE, HELD_MOST - len(self._held))
        if room <= 0:
            return False
        # What is held is due as well until it is marked, so as many more rows are asked for. A row that was held
        # when the look began may have been delivered since: it is left to the next look.
        held_before = set(self._held)
        limit = len(held_before) + room
        due = await self._store.read(lambda tx: tx.due_messages(limit=limit))
        taken = [message for message in due if message.message_id not in held_before]
        for message in taken:
            target = (message.channel, message.target)
            crowded = self._lane_length[target] >= LANE_MOST
            self._lane_length[target] += 1
            self._held[message.message_id] = asyncio.create_task(self._hold(message, target, crowded=crowded))
        return len(taken) >= room

    async def _hold(self, message: Message, target: Target, *, crowded: bool) -> None:
        """One message from taking to marking; where the lane is full already, it is put off."""
        try:
            if crowded:
                await self._mark(_put_off(message, BEHIND_MS, "receiver is behind"))
                return
            lane = self._lanes.setdefault(target, asyncio.Semaphore(LANE_AT_ONCE))
            async with lane:
                async with self._doubtful_slots if target in self._failed_last else self._slots:
                    mark = await self._delivered(message, target)
                await self._mark(mark)
        finally:
            del self._held[message.message_id]
            self._lane_length[target] -= 1
            if not self._lane_length[target]:
                del self._lane_length[target]
                self._lanes.pop(target, None)
            if len(self._held) == HELD_MOST - 1:
                self.wake()

    # -- delivering --------------------------------------------------------------------------------------------------
    async def _delivered(self, message: Message, target: Target) -> UseCase[bool]:
        """Try once; what to write about it."""
        if self._clock.now_ms() >= message.expires_at:
            return self._gave_up(message, "expired")
        try:
            messenger = self._messengers.get(message.channel)
            if messenger is None:
                raise DeliveryFailed("no messenger is set up for this channel")
            async with asyncio.timeout(DELIVERY_SECONDS):
                await messenger.deliver(message)
        except DeliveryFailed as failure:
            self._failed_last.add(target)
            if failure.final:
                return self._gave_up(message, str(failure))
            return self._failed(message, str(failure))
        except TimeoutError:
            self._failed_last.add(target)
            return self._failed(message, "time-out")
        except Exception as fault:
            # A fault of a messenger of ours is met as a failed try: the row stays, the others go on.
            log.exception("messenger_fault", message=message.message_id, channel=message.channel.value)
            self._failed_last.add(target)
            return self._failed(message, type(fault).__name__)
        self._failed_last.discard(target)
        self.tally.delivered += 1
        log.info("message_delivered", message=message.message_id, kind=message.kind, channel=message.channel.value)
        return lambda tx: tx.message_done(message)

    def _failed(self, message: Message, reason: str) -> UseCase[bool]:
        self.tally.failed += 1
        log.warning("message_not_delivered", message=message.message_id, channel=message.channel.value, reason=reason)
        return _put_off(message, BACK_OFF[min(message.attempts, len(BACK_OFF) - 1)], reason)

    def _gave_up(self, message: Message, reason: str) -> UseCase[bool]:
        self.tally.given_up += 1
        log.error("message_given_up", message=message.message_id, channel=message.channel.value, reason=reason)
        return lambda tx: tx.message_failed(message, next_at=None, reason=reason[:REASON_MOST])

    # -- marking -----------------------------------------------------------------------------------------------------
    async def _mark(self, mark: UseCase[bool]) -> None:
        """Write how it went, however long the store is away; until then the message is held and not sent again."""
        while True:
            try:
                await self._store.run(mark)
            except Exception as trouble:
                log.warning("outbox_store_away", trouble=str(trouble))
                await asyncio.sleep(OUTAGE_SECONDS)
            else:
                return


def _put_off(message: Message, delay_ms: int, reason: str) -> UseCase[bool]:
    def mark(tx: Transaction) -> bool:
        next_at = tx.now + delay_ms
        if next_at >= message.expires_at:
            return tx.message_failed(message, next_at=None, reason=f"expired; last: {reason}"[:REASON_MOST])
        return tx.message_failed(message, next_at=next_at, reason=reason[:REASON_MOST])

    return mark
