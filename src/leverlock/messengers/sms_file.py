"""A provider for development: it writes what it is given into a file of its own and sends nothing.

The file holds codes, so settings that others can reach refuse it (`config.py`), and it is never the log (B17).
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from leverlock.messengers.sms import Sms
from leverlock.ports import DeliveryFailed


class FileSmsProvider:
    """`SmsProvider` that appends a line of JSON for each SMS to a file that only its owner can read."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file

    @property
    def name(self) -> str:
        return self._name

    async def send(self, sms: Sms) -> str:
        line = json.dumps({"to": sms.number, "text": sms.text, "reference": sms.reference}, ensure_ascii=False)
        try:
            await asyncio.to_thread(self._append, line + "\n")
        except OSError as problem:
            raise DeliveryFailed(type(problem).__name__) from None
        return sms.reference

    async def close(self) -> None:
        return

    def _append(self, line: str) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(line)
