"""A provider behind Apprise, for the services it knows (`pip install leverlock[apprise]`).

Apprise says whether it worked and no more: no id of the message, no receipt, no reason. It blocks, so it works in a
thread; a try that outlives its time counts as failed, and the SMS may have gone out all the same.
"""

from __future__ import annotations

import asyncio

from leverlock.messengers.sms import Sms
from leverlock.messengers.sms_template import filled
from leverlock.ports import DeliveryFailed


class AppriseSmsProvider:
    """`SmsProvider` over an Apprise URL in which `{number}` or `{digits}` stands for the number."""

    def __init__(self, name: str, url: str, *, secret: str | None, timeout: float) -> None:
        """`timeout` in seconds. Raises ImportError where the extra is not installed."""
        import apprise

        self._apprise = apprise
        self._name = name
        self._url = url
        self._secret = secret or ""
        self._timeout = timeout

    @property
    def name(self) -> str:
        return self._name

    async def send(self, sms: Sms) -> str:
        values = {"number": sms.number, "digits": sms.number.removeprefix("+"), "secret": self._secret}
        values |= {"text": "", "reference": sms.reference, "receipt_url": sms.receipt_url}
        asset = self._apprise.AppriseAsset(async_mode=False, secure_logging=True, plugin_paths=[], app_id="Leverlock")
        service = self._apprise.Apprise(asset=asset)
        if not service.add(filled(self._url, values)):
            raise DeliveryFailed("Apprise does not know this address", final=True)
        try:
            async with asyncio.timeout(self._timeout):
                taken = await asyncio.to_thread(service.notify, body=sms.text)
        except TimeoutError:
            raise DeliveryFailed("time-out") from None
        if not taken:
            raise DeliveryFailed("Apprise could not send it")
        return ""

    async def close(self) -> None:
        return
