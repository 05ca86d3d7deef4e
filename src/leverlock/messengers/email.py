"""E-mail: one plain-text letter per message, over SMTP with the server's certificate verified.

The Message-ID is made from the message's own id: a letter that had to be sent again is the same letter to every mail
program (C7). Refusals follow RFC 5321 section 4.2.1: a 4xx is tried again, a 5xx about the recipient or the text is
final; what only the operator can mend (login, sender, TLS) is tried again.
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from enum import StrEnum
from pathlib import Path

import aiosmtplib

from leverlock.domain.messages import Message
from leverlock.messengers.letters import letter
from leverlock.ports import DeliveryFailed


class Tls(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"  # port 587; refused when the server does not offer it (RFC 8314 section 3.3)
    IMPLICIT = "implicit"  # port 465
    UNSAFE_NONE = "unsafe_none"  # a relay on this machine, and tests


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """Where and as whom mail is sent. `ca_file` replaces the system's authorities; times are in seconds."""

    host: str
    port: int
    sender: str
    tls: Tls = Tls.STARTTLS
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout: float = 10.0


class EmailMessenger:
    """Delivers by SMTP, one connection per letter."""

    def __init__(self, settings: EmailSettings, *, issuer: str) -> None:
        """Raises ValueError for a sender that is no single mail address, OSError for an unreadable `ca_file`."""
        self._settings = settings
        self._issuer = issuer
        self._sender = one_address(settings.sender)
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    async def deliver(self, message: Message) -> None:
        """Hand the letter to the mail server. Raises DeliveryFailed."""
        try:
            mail = self.compose(message)
        except (ValueError, MessageError) as error:
            raise DeliveryFailed("not a mail address", final=True) from error
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.timeout,
            use_tls=settings.tls is Tls.IMPLICIT,
            start_tls=settings.tls is Tls.STARTTLS,
            tls_context=None if settings.tls is Tls.UNSAFE_NONE else self._tls,
        )
        try:
            await client.connect()
            if settings.username is not None and settings.password is not None:
                await client.login(settings.username, settings.password)
            await client.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise DeliveryFailed(f"recipient refused: {codes}", final=all(code >= 500 for code in codes)) from error
        except aiosmtplib.SMTPDataError as error:
            raise DeliveryFailed(f"letter refused: {error.code}", final=error.code >= 500) from error
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error.code}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryFailed(type(error).__name__) from error
        finally:
            # The server has taken the letter, or has not; how the connection ends no longer changes that.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                if client.is_connected:
                    await client.quit()
            client.close()

    def compose(self, message: Message) -> EmailMessage:
        """The letter as it goes over the wire. Raises ValueError for a target that is not one mail address."""
        written = letter(message, issuer=self._issuer)
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = Address(display_name=self._issuer, addr_spec=self._sender)
        mail["To"] = Address(addr_spec=one_address(message.target))
        mail["Subject"] = written.subject
        mail["Date"] = datetime.fromtimestamp(message.created_at / 1000, UTC)
        mail["Message-ID"] = f"<{message.message_id}@{self._sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps out-of-office answers away
        mail.set_content(written.text, cte="quoted-printable")
        return mail


def one_address(text: str) -> str:
    """Exactly one addr-spec, without display name, list, comment or line break. Raises ValueError."""
    if not text.isprintable() or " " in text:
        raise ValueError("not a mail address")
    try:
        address = Address(addr_spec=text)
    except (MessageError, IndexError, ValueError) as error:
        raise ValueError("not a mail address") from error
    if not address.username or not address.domain or address.addr_spec != text:
        raise ValueError("not a mail address")
    return text
