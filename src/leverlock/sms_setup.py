"""Joins the settings of SMS to what use cases and the outbox take."""

from __future__ import annotations

from urllib.parse import urlsplit

from leverlock.app.sms_receipts import note_handed_over, receipt_path
from leverlock.domain.messages import Message
from leverlock.messengers.sms import SmsMessenger, SmsProvider
from leverlock.messengers.sms_apprise import AppriseSmsProvider
from leverlock.messengers.sms_file import FileSmsProvider
from leverlock.messengers.sms_http import HttpSettings, HttpSmsProvider
from leverlock.ports import Sealer, Store
from leverlock.ports_sms import ReceiptTerms, SmsTerms
from leverlock.sms_section import SmsProviderSection, SmsSection
from leverlock.verifiers.sms_code import SmsCodeVerifier


class SmsSetupError(Exception):
    """The settings hold, and SMS cannot be sent with them all the same; the message says why."""


def sms_terms(settings: SmsSection, *, sealer: Sealer, approval_url: str) -> SmsTerms | None:
    """How this deployment uses SMS; None where they are off."""
    if not settings.enabled:
        return None
    receipts = {
        one.name: ReceiptTerms(one.receipt_field, frozenset(one.receipt_delivered), frozenset(one.receipt_undelivered))
        for one in settings.providers
        if one.receipt_field is not None
    }
    host = urlsplit(approval_url).hostname or "localhost"
    return SmsTerms(SmsCodeVerifier(sealer), host, frozenset(settings.countries), receipts)


def sms_messenger(settings: SmsSection, *, store: Store, sealer: Sealer, api_url: str) -> SmsMessenger:
    """The messenger over all providers, in their order. Raises SmsSetupError."""

    def receipt_url(message: Message, provider: str) -> str:
        return api_url + receipt_path(sealer, message.account_id, message.message_id, provider)

    async def handed_over(message: Message, provider: str, provider_id: str) -> None:
        await store.run(
            lambda tx: note_handed_over(
                tx,
                account_id=message.account_id,
                message_id=message.message_id,
                provider=provider,
                provider_id=provider_id,
            )
        )

    providers = [_provider(one) for one in settings.providers]
    return SmsMessenger(providers, sealer=sealer, receipt_url=receipt_url, handed_over=handed_over)


def _provider(settings: SmsProviderSection) -> SmsProvider:
    if settings.kind == "file":
        return FileSmsProvider(settings.name, settings.path)
    assert settings.url is not None
    secret = _secret(settings)
    if settings.kind == "apprise":
        try:
            return AppriseSmsProvider(settings.name, settings.url, secret=secret, timeout=settings.timeout_seconds)
        except ImportError:
            raise SmsSetupError(
                f"sms.providers.{settings.name}: Apprise is not installed: pip install leverlock[apprise]"
            ) from None
    return HttpSmsProvider(
        HttpSettings(
            name=settings.name,
            url=settings.url,
            method=settings.method,
            query=settings.query,
            form=settings.form,
            json=settings.json_body,
            headers=settings.headers,
            unicode=settings.unicode,
            username=settings.username,
            secret=secret,
            accepted=settings.accepted,
            message_id=settings.message_id,
            timeout=settings.timeout_seconds,
        )
    )


def _secret(settings: SmsProviderSection) -> str | None:
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    if settings.secret_file is None:
        return None
    try:
        return settings.secret_file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise SmsSetupError(f"sms.providers.{settings.name}: its secret cannot be read: {problem}") from None
