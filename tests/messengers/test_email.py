"""E-mail over a real SMTP connection: what arrives, under which id, and what is never sent without TLS."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from leverlock.domain.messages import Channel, Message
from leverlock.messengers.email import EmailMessenger, EmailSettings, Tls, one_address
from leverlock.ports import DeliveryFailed
from world import NOW_MS

from .receivers import Certificate, MailReceiver

TARGET = "alice@example.com"


def notice(target: str = TARGET, **details: object) -> Message:
    body = json.dumps({"type": "key.created", "at": NOW_MS, "key": "key_1", **details}).encode()
    return Message("acc_x", "msg_abc", Channel.EMAIL, target, "key.created", body, NOW_MS, NOW_MS + 60_000)


def messenger(port: int, *, tls: Tls = Tls.UNSAFE_NONE, ca_file: Path | None = None) -> EmailMessenger:
    settings = EmailSettings(
        host="127.0.0.1", port=port, sender="security@venue.example", tls=tls, ca_file=ca_file, timeout=5
    )
    return EmailMessenger(settings, issuer="Venue")


def deliver(by: EmailMessenger, message: Message) -> None:
    asyncio.run(by.deliver(message))


def test_a_letter_arrives_as_plain_text_alone() -> None:
    with MailReceiver() as server:
        deliver(messenger(server.port), notice())
    [mail] = server.mails
    assert server.envelopes == [[TARGET]]
    assert mail["To"] == TARGET
    assert mail["From"] == "Venue <security@venue.example>"
    assert mail.get_content_type() == "text/plain"
    assert not mail.is_multipart()
    assert "key: key_1" in mail.get_content()
    assert mail["Auto-Submitted"] == "auto-generated"


@pytest.mark.bar("B39")
def test_a_letter_sent_again_carries_the_same_message_id() -> None:
    with MailReceiver() as server:
        sender = messenger(server.port)
        deliver(sender, notice())
        deliver(sender, replace(notice(), attempts=3))
    assert [mail["Message-ID"] for mail in server.mails] == ["<msg_abc@venue.example>"] * 2


def test_text_beyond_ascii_and_long_lines_arrive_as_they_were() -> None:
    with MailReceiver() as server:
        deliver(messenger(server.port), notice(label="期货交易 " + "x" * 3000 + "\n.\n"))
    [mail] = server.mails
    assert "期货交易 " + "x" * 3000 + "\N{REPLACEMENT CHARACTER}.\N{REPLACEMENT CHARACTER}" in mail.get_content()


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_mail_goes_over_tls_to_a_server_whose_certificate_verifies(tmp_path: Path, tls: Tls) -> None:
    certificate = Certificate.make(tmp_path)
    offered = {"starttls" if tls is Tls.STARTTLS else "implicit": certificate.server}
    with MailReceiver(**offered) as server:
        deliver(messenger(server.port, tls=tls, ca_file=certificate.file), notice())
    assert len(server.mails) == 1
    if tls is Tls.STARTTLS:
        assert server.sessions_with_tls == [True]


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_nothing_is_sent_to_a_server_whose_certificate_does_not_verify(tmp_path: Path, tls: Tls) -> None:
    offered = {"starttls" if tls is Tls.STARTTLS else "implicit": Certificate.make(tmp_path).server}
    with MailReceiver(**offered) as server, pytest.raises(DeliveryFailed) as failed:
        deliver(messenger(server.port, tls=tls), notice())
    assert not failed.value.final
    assert not server.mails


def test_nothing_is_sent_when_the_server_offers_no_tls() -> None:
    with MailReceiver() as server, pytest.raises(DeliveryFailed) as failed:
        deliver(messenger(server.port, tls=Tls.STARTTLS), notice())
    assert not failed.value.final
    assert not server.mails


@pytest.mark.parametrize(("reply", "final"), [("550 no such user", True), ("451 try again later", False)])
def test_a_refused_recipient_is_final_when_the_server_says_so(reply: str, final: bool) -> None:
    with MailReceiver(replies={TARGET: reply}) as server, pytest.raises(DeliveryFailed) as failed:
        deliver(messenger(server.port), notice())
    assert failed.value.final is final


@pytest.mark.parametrize(("reply", "final"), [("554 not wanted", True), ("452 disk full", False)])
def test_a_refused_text_is_final_when_the_server_says_so(reply: str, final: bool) -> None:
    with MailReceiver(data_reply=reply) as server, pytest.raises(DeliveryFailed) as failed:
        deliver(messenger(server.port), notice())
    assert failed.value.final is final
    assert not server.mails


def test_a_server_that_is_down_is_tried_again() -> None:
    with MailReceiver() as server:
        port = server.port
    with pytest.raises(DeliveryFailed) as failed:
        deliver(messenger(port), notice())
    assert not failed.value.final


@pytest.mark.parametrize(
    "target",
    [
        "",
        "nobody",
        "@example.com",
        "a@",
        "a@b.example, c@d.example",
        "Alice <a@b.example>",
        "a@b.example\r\nBcc: c@d.example",
        "a b@c.example",
        "a@b.example\x00",
        "a@b.example(comment)",
    ],
)
def test_a_target_is_one_address_and_nothing_more(target: str) -> None:
    with pytest.raises(ValueError, match="not a mail address"):
        one_address(target)
    with MailReceiver() as server, pytest.raises(DeliveryFailed) as failed:
        deliver(messenger(server.port), notice(target))
    assert failed.value.final
    assert not server.mails


@pytest.mark.bar("B91")
def test_a_hostile_value_adds_no_header() -> None:
    with MailReceiver() as server:
        deliver(messenger(server.port), notice(label="x\r\nBcc: thief@example.com\r\n\r\n<b>hello</b>"))
    [mail] = server.mails
    assert "Bcc" not in mail
    assert server.envelopes == [[TARGET]]
    plain = notice(label="x")
    with MailReceiver() as other:
        deliver(messenger(other.port), plain)
    assert mail.keys() == other.mails[0].keys()
    assert len(mail.get_content().splitlines()) == len(other.mails[0].get_content().splitlines())
