"""Chat services, through Apprise: the letter that goes out by mail, as a message where the owner reads his others.

Apprise knows a service by the scheme of its address (`tgram://…`, `discord://…`). Only the schemes that the deployment
names are used: the general ones (`json`, `form`, `xml`) would call any host the owner writes down. Apprise tells only
whether it went well, so every failure is tried again until the message expires.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from leverlock.domain.messages import Message
from leverlock.messengers.letters import letter
from leverlock.ports import DeliveryFailed

THREADS: Final = 4  # Apprise blocks while it sends
MAX_ADDRESS: Final = 2048


class ChatMessenger:
    """Delivers to the chat services of `services`, each call within `timeout` seconds."""

    def __init__(self, *, services: frozenset[str], issuer: str, timeout: float = 15.0) -> None:
        """Raises ImportError where the extra is not installed."""
        import apprise

        self._apprise = apprise
        self._services = services
        self._issuer = issuer
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="leverlock-chat")

    async def deliver(self, message: Message) -> None:
        """Send it. An address of no service that this deployment uses is final, anything else is tried again."""
        service = self._service(message.target)
        said = letter(message, issuer=self._issuer)
        loop = asyncio.get_running_loop()
        sending = loop.run_in_executor(self._pool, self._send, service, said.subject, said.text)
        try:
            sent = await asyncio.wait_for(sending, self._timeout)
        except TimeoutError:
            raise DeliveryFailed("time-out") from None
        if not sent:
            raise DeliveryFailed("the service did not take it")

    def _service(self, target: str) -> Any:
        scheme, colon, _ = target.partition("://")
        if not colon or scheme.lower() not in self._services or len(target) > MAX_ADDRESS:
            raise DeliveryFailed("no chat service that is used here", final=True)
        # Neither files nor plugins of its own are looked for, and the address is kept out of its log.
        asset = self._apprise.AppriseAsset(async_mode=False, secure_logging=True, plugin_paths=[], app_id="Leverlock")
        service = self._apprise.Apprise(asset=asset)
        if not service.add(target):
            raise DeliveryFailed("not an address of that chat service", final=True)
        return service

    @staticmethod
    def _send(service: Any, title: str, text: str) -> bool:
        return bool(service.notify(title=title, body=text, body_format="text"))

    async def close(self) -> None:
        """Let what is being sent end; nothing new is begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
