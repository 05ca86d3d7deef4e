"""A provider that is called over HTTP, described by settings alone: Kannel, Twilio, Vonage and the like.

Values are templates; what they name is put in and then encoded as query, form or JSON, so that nothing in a number or
a text can become another parameter. Redirects are not followed, proxies of the environment not used. An answer counts
as *taken* only when its status and, where one is set, the pattern for its body say so: everything else is a failure.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from leverlock.messengers.sms import Sms
from leverlock.messengers.sms_template import filled
from leverlock.ports import DeliveryFailed

ANSWER_MOST: Final = 4096  # bytes of an answer that are read
ID_MOST: Final = 128
# 4xx answers that a later try may well turn into a success.
_PASSING: Final = frozenset({401, 403, 408, 409, 425, 429})

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How a provider is called. `unicode` holds parameters that are added, or replace others, for a text outside GSM-7.

    `accepted` and `message_id` are patterns searched in the answer's body; `timeout` is in seconds.
    """

    name: str
    url: str
    method: str = "POST"
    query: Template = field(default_factory=dict)
    form: Template = field(default_factory=dict)
    json: Template = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    unicode: Template = field(default_factory=dict)
    username: str | None = None
    secret: str | None = field(default=None, repr=False)
    accepted: str | None = None
    message_id: str | None = None
    timeout: float = 8.0


class HttpSmsProvider:
    """`SmsProvider` over HTTP."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._accepted = None if settings.accepted is None else re.compile(settings.accepted)
        self._message_id = None if settings.message_id is None else re.compile(settings.message_id)
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        return self._settings.name

    async def send(self, sms: Sms) -> str:
        settings = self._settings
        values = {
            "number": sms.number,
            "digits": sms.number.removeprefix("+"),
            "text": sms.text,
            "reference": sms.reference,
            "receipt_url": sms.receipt_url,
            "secret": settings.secret or "",
        }
        parts = {name: filled(getattr(settings, name), values) for name in ("query", "form", "json", "headers")}
        if sms.unicode:
            place = next((name for name in ("json", "form", "query") if parts[name]), "query")
            parts[place] = {**parts[place], **filled(settings.unicode, values)}
        if settings.username is not None:
            pair = f"{settings.username}:{settings.secret or ''}"
            parts["headers"] = {**parts["headers"], "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        try:
            async with self._opened().request(
                settings.method,
                settings.url,
                params=parts["query"] or None,
                data=parts["form"] or None,
                json=parts["json"] or None,
                headers=parts["headers"],
                allow_redirects=False,
            ) as answer:
                status = answer.status
                body = (await answer.content.read(ANSWER_MOST)).decode("utf-8", "replace")
                answer.close()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # Its text may hold the address that was called, and with it the code.
            raise DeliveryFailed(type(error).__name__) from None
        if not 200 <= status < 300:
            raise DeliveryFailed(f"HTTP {status}", final=400 <= status < 500 and status not in _PASSING)
        if self._accepted is not None and self._accepted.search(body) is None:
            raise DeliveryFailed("it did not say that it took the message")
        found = None if self._message_id is None else self._message_id.search(body)
        return "" if found is None else (found[1] if found.re.groups else found[0])[:ID_MOST]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection of its own for each SMS: they are few, and one kept over a provider's fail-over fails once.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                headers={"user-agent": "leverlock"},
            )
        return self._session
