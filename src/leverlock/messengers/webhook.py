"""Webhooks: the message as signed JSON, in the form of the Standard Webhooks specification.

`webhook-id` is the message's own id and stays the same over every retry; `webhook-timestamp` is the attempt's time;
`webhook-signature` is HMAC-SHA256 over id, timestamp and body, under a secret of this account alone. Redirects are not
followed and proxies of the environment are not used: what is called is what the guard has judged (B98).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import aiohttp
from standardwebhooks import Webhook

from leverlock.domain.messages import Message
from leverlock.messengers.destinations import Destinations, GuardedResolver, NotAllowed
from leverlock.ports import Clock, DeliveryFailed

# 4xx answers that a later try may well turn into a success; every other 4xx says that this receiver does not want it.
PASSING: Final = frozenset({408, 425, 429})


class WebhookMessenger:
    """Delivers by HTTP POST. `secret_of` gives the signing secret of an account; see `webhook_secret.py`."""

    def __init__(
        self,
        *,
        destinations: Destinations,
        secret_of: Callable[[str], bytes],
        clock: Clock,
        connect_timeout: float = 3.0,
        timeout: float = 10.0,
    ) -> None:
        """Time-outs in seconds; `timeout` spans a whole attempt."""
        self._destinations = destinations
        self._secret_of = secret_of
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=connect_timeout)
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, message: Message) -> None:
        """POST it. 2xx is delivered; 4xx but for 408, 425 and 429 is final; the rest is tried again."""
        try:
            url = self._destinations.judged(message.target)
        except NotAllowed as error:
            raise DeliveryFailed(str(error), final=True) from error
        payload = self.payload(message)
        try:
            async with self._opened().post(
                url, data=payload.encode(), headers=self._headers(message, payload), allow_redirects=False
            ) as answer:
                status = answer.status
                answer.close()  # nobody reads what a receiver says beyond its status
        except NotAllowed as error:
            raise DeliveryFailed(str(error), final=True) from error
        except aiohttp.InvalidURL as error:
            raise DeliveryFailed("not a webhook address", final=True) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise DeliveryFailed(type(error).__name__) from error
        if not 200 <= status < 300:
            raise DeliveryFailed(f"HTTP {status}", final=400 <= status < 500 and status not in PASSING)

    @staticmethod
    def payload(message: Message) -> str:
        """`{type, timestamp, data}`, made from the message alone so that every try sends the same text."""
        data = json.loads(message.body)
        kind = data.pop("type", message.kind)
        timestamp = datetime.fromtimestamp(message.created_at / 1000, UTC).isoformat(timespec="milliseconds")
        body = {
            "type": kind,
            "timestamp": timestamp.replace("+00:00", "Z"),
            "data": {"account": message.account_id, **data},
        }
        return json.dumps(body, ensure_ascii=True, separators=(",", ":"))

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, message: Message, payload: str) -> dict[str, str]:
        seconds = self._clock.now_ms() // 1000
        signer = Webhook(self._secret_of(message.account_id))
        return {
            "content-type": "application/json",
            "user-agent": "leverlock",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signer.sign(message.message_id, datetime.fromtimestamp(seconds, UTC), payload),
        }

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No keep-alive: an idle connection to a receiver that was judged once would outlive the judgement.
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(self._destinations), use_dns_cache=False, force_close=True, limit=0
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session
