"""Sending SMS through providers that fail in every way: it approves nothing, and at most one code is good (B19)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from app.phone import FUTURES, by_sms, confirm, enter, last, pause, saved, text_for, texts
from leverlock.app.sms_approval import send_for
from leverlock.domain.challenge import State
from leverlock.domain.errors import Reason
from leverlock.domain.messages import Channel, Message
from leverlock.domain.sms_code import Delivery
from leverlock.messengers.sms import Sms, SmsMessenger, SmsProvider
from leverlock.messengers.sms_apprise import AppriseSmsProvider
from leverlock.messengers.sms_file import FileSmsProvider
from leverlock.messengers.sms_http import HttpSettings, HttpSmsProvider
from leverlock.ports import DeliveryFailed
from leverlock.sms_section import SmsSection
from leverlock.sms_setup import sms_messenger
from world import Deployment, Owner, order, refused

from .delivering import delivering
from .receivers import Certificate, HttpReceiver, until

SMS = Sms("+447400123456", "BUY & sell {secret}=#?+ 买入\n@a.example #12345678", "msg_1", True, "https://us/r?x")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path, sms=True) as made:
        yield made


def provider(url: str, *, name: str = "one", timeout: float = 0.5, **more: Any) -> HttpSmsProvider:
    settings = HttpSettings(
        name=name,
        url=url,
        form={"to": "{number}", "text": "{text}", "ref": "{reference}", "dlr": "{receipt_url}"},
        accepted="^taken",
        message_id="id=(\\S+)",
        timeout=timeout,
    )
    return HttpSmsProvider(replace(settings, **more))


def messenger(deployment: Deployment, *providers: SmsProvider) -> SmsMessenger:
    """As `sms_setup` joins it, with providers of the test."""
    joined = sms_messenger(SmsSection(), store=deployment.store, sealer=deployment.sealer, api_url="https://us.example")
    joined._providers = providers
    return joined


def answering(text: str, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status)

    return answer


async def hanging(_request: web.Request) -> web.StreamResponse:
    """Takes the message, and says so too late."""
    await asyncio.sleep(30)
    return web.Response(text="taken")


async def cutting(request: web.Request) -> web.StreamResponse:
    """Takes the message, and breaks the connection off."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


TAKEN = answering("taken id=SM42")
FAULTS = {
    "hangs": hanging,
    "cuts": cutting,
    "500": answering("taken id=1", 500),
    "429": answering("taken id=1", 429),
    "redirects": answering("taken", 302),
    "nonsense": answering("<html>Welcome</html>"),
    "empty": answering(""),
    "refuses": answering("taken id=1", 400),
}


@dataclass(frozen=True)
class Got:
    """What a provider was given."""

    to: str
    text: str
    reference: str

    @property
    def code(self) -> str:
        return self.text.rsplit("#", 1)[1]


def got(receiver: HttpReceiver, path: str = "/send") -> list[Got]:
    forms = [parse_qs(call.body.decode()) for call in receiver.at(path)]
    return [Got(form["to"][0], form["text"][0], form["ref"][0]) for form in forms]


def texted(deployment: Deployment) -> Owner:
    """An owner with her number as backup; her enrolment's SMS is out of the way."""
    alice = deployment.owner("alice", enrolled=[FUTURES])
    confirm(alice, enter(alice))
    saved(alice)
    pause(alice)
    with sqlite3.connect(deployment.path) as raw:
        raw.execute("DELETE FROM outbox")
    return alice


def outbox_rows(deployment: Deployment) -> list[tuple[int, int | None, str]]:
    with sqlite3.connect(deployment.path) as raw:
        return raw.execute("SELECT attempts, next_at, reason FROM outbox WHERE channel = 'sms'").fetchall()


def delivery(owner: Owner, challenge_id: str) -> Delivery:
    code = owner.deployment.read(lambda tx: tx.sms_code(owner.account_id, challenge_id))
    assert code is not None
    return code.delivery


# -- one provider that fails -----------------------------------------------------------------------------------------
@pytest.mark.bar("B19")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_provider_approves_nothing_and_a_retry_sends_the_same_code(
    deployment: Deployment, fault: str
) -> None:
    alice = texted(deployment)

    async def run() -> list[Got]:
        async with HttpReceiver(answers={"/send": FAULTS[fault]}) as receiver:
            challenge = alice.asked(order())
            await asyncio.to_thread(text_for, alice, challenge)
            with sqlite3.connect(deployment.path) as raw:  # the ring has no receiver here
                raw.execute("DELETE FROM outbox WHERE channel <> 'sms'")
            sms = messenger(deployment, provider(receiver.url("/send")))
            async with delivering(deployment, {Channel.SMS: sms}):
                await until(lambda: bool(outbox_rows(deployment)[0][0]) or outbox_rows(deployment)[0][1] is None)
                assert alice.challenge(challenge).state is State.PENDING
                assert delivery(alice, challenge.challenge_id) is Delivery.WAITING
                if fault == "refuses":
                    assert outbox_rows(deployment)[0][1] is None  # trying again is useless
                    assert len(got(receiver)) == 1
                    assert alice.prove(challenge)  # the app never depends on it
                    return got(receiver)
                receiver.answers["/send"] = TAKEN
                deployment.clock.tick(1_000)
                await until(lambda: not outbox_rows(deployment))
            await sms.close()
            given = got(receiver)
            assert delivery(alice, challenge.challenge_id) is Delivery.HANDED_OVER
            assert await asyncio.to_thread(by_sms, alice, challenge, given[-1].code)
            with refused(Reason.CHALLENGE_NOT_PENDING):  # whichever copy came first, the code was good once
                alice.prove(challenge, sms_code=given[0].code)
            return given

    given = asyncio.run(run())
    assert {one.to for one in given} == {"+447400123456"}
    assert len({(one.code, one.reference) for one in given}) == 1


@pytest.mark.bar("B19")
def test_a_provider_that_is_down_leaves_the_app_working(deployment: Deployment) -> None:
    alice = texted(deployment)

    async def run() -> None:
        challenge = alice.asked(order())
        await asyncio.to_thread(text_for, alice, challenge)
        sms = messenger(deployment, provider("http://127.0.0.1:9/send"))
        async with delivering(deployment, {Channel.SMS: sms}):
            await until(lambda: bool(outbox_rows(deployment)[0][0]))
        assert alice.challenge(challenge).state is State.PENDING
        assert alice.prove(challenge)

    asyncio.run(run())


@pytest.mark.bar("B19")
def test_timeout_after_send_and_a_resend_leave_one_good_code(deployment: Deployment) -> None:
    """The provider took the first one and answered too late; the owner asked again; both arrive."""
    alice = texted(deployment)

    async def run() -> None:
        async with HttpReceiver(answers={"/send": hanging}) as receiver:
            challenge = alice.asked(order())
            await asyncio.to_thread(text_for, alice, challenge)
            sms = messenger(deployment, provider(receiver.url("/send")))
            async with delivering(deployment, {Channel.SMS: sms}):
                await until(lambda: bool(outbox_rows(deployment)[0][0]))
                receiver.answers["/send"] = TAKEN
                pause(alice)
                await asyncio.to_thread(text_for, alice, challenge)
                await until(lambda: not outbox_rows(deployment))
            await sms.close()
            given = got(receiver)
            first, second = given[0], given[-1]
            assert first.code != second.code
            assert first.reference != second.reference
            with refused(Reason.WRONG_CODE):
                alice.prove(challenge, sms_code=first.code)
            assert alice.prove(challenge, sms_code=second.code)

    asyncio.run(run())


@pytest.mark.bar("B19")
def test_a_code_that_has_expired_is_not_sent_late(deployment: Deployment) -> None:
    alice = texted(deployment)

    async def run() -> None:
        async with HttpReceiver(answers={"/send": TAKEN}) as receiver:
            challenge = alice.asked(order())
            await asyncio.to_thread(text_for, alice, challenge)
            deployment.clock.tick(deployment.world.limits.sms_code_life_ms)
            sms = messenger(deployment, provider(receiver.url("/send")))
            async with delivering(deployment, {Channel.SMS: sms}):
                await until(lambda: outbox_rows(deployment)[0][1] is None)
            await sms.close()
            assert not got(receiver)
            assert outbox_rows(deployment)[0][2] == "expired"

    asyncio.run(run())


@pytest.mark.bar("B19")
def test_the_row_is_committed_before_anything_is_sent(deployment: Deployment) -> None:
    """What raises after the code was drawn leaves neither code nor row: nobody can have been sent one."""
    alice = texted(deployment)
    challenge = alice.asked(order())
    session = alice.session
    assert session is not None

    class Broken(Exception):
        pass

    def fails(tx: Any) -> None:
        send_for(tx, deployment.world, session=session, challenge_id=challenge.challenge_id, source="192.0.2.1")
        raise Broken

    with pytest.raises(Broken):
        deployment.run(fails)
    assert not texts(deployment)
    assert deployment.read(lambda tx: tx.sms_code(alice.account_id, challenge.challenge_id)) is None
    text_for(alice, challenge)
    assert last(deployment).code


# -- a list of providers ---------------------------------------------------------------------------------------------
@pytest.mark.bar("B19")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_provider_takes_what_the_first_did_not(deployment: Deployment, fault: str) -> None:
    alice = texted(deployment)

    async def run() -> None:
        async with HttpReceiver(answers={"/one": FAULTS[fault], "/two": TAKEN}) as receiver:
            challenge = alice.asked(order())
            code = await asyncio.to_thread(text_for, alice, challenge)
            sms = messenger(deployment, provider(receiver.url("/one")), provider(receiver.url("/two"), name="two"))
            async with delivering(deployment, {Channel.SMS: sms}):
                await until(lambda: not outbox_rows(deployment))
            await sms.close()
            [first], [second] = got(receiver, "/one"), got(receiver, "/two")
            assert first.code == second.code == code
            assert first.reference == second.reference
        told = deployment.read(lambda tx: tx.events(alice.account_id, after_seq=0, limit=1000))
        [handed] = [json.loads(event.body)["details"] for event in told if event.kind == "sms.handed_over"]
        assert (handed["provider"], handed["provider_id"], handed["message"]) == ("two", "SM42", second.reference)

    asyncio.run(run())


def test_all_refusals_are_final_only_together(deployment: Deployment) -> None:
    alice = texted(deployment)
    challenge = alice.asked(order())
    text_for(alice, challenge)
    [message] = [m for m in deployment.read(lambda tx: tx.due_messages(limit=9)) if m.channel is Channel.SMS]

    async def run() -> None:
        async with HttpReceiver(answers={"/no": answering("", 400), "/later": answering("", 503)}) as receiver:
            for paths, final in ((["/no", "/no"], True), (["/no", "/later"], False)):
                sms = messenger(deployment, *(provider(receiver.url(path)) for path in paths))
                with pytest.raises(DeliveryFailed) as failed:
                    await sms.deliver(message)
                assert failed.value.final is final
                await sms.close()

    asyncio.run(run())


@pytest.mark.bar("B82")
def test_a_message_whose_seal_is_broken_is_given_up(deployment: Deployment) -> None:
    alice = texted(deployment)
    text_for(alice, alice.asked(order()))
    [message] = [m for m in deployment.read(lambda tx: tx.due_messages(limit=9)) if m.channel is Channel.SMS]
    swapped = replace(message, message_id="msg_other")
    cut = replace(message, body=message.body[:-1])

    async def deliver(one: Message) -> None:
        await messenger(deployment, provider("http://127.0.0.1:9/send")).deliver(one)

    for broken in (swapped, cut, replace(message, body=b""), replace(message, body=b"{}")):
        with pytest.raises(DeliveryFailed, match="seal") as failed:
            asyncio.run(deliver(broken))
        assert failed.value.final


# -- what goes over the wire -----------------------------------------------------------------------------------------
def wire(sms: Sms = SMS, **more: Any) -> tuple[str, dict[str, str], bytes, str]:
    """(query, headers, body, provider's id) of one hand-over."""

    async def run() -> tuple[str, dict[str, str], bytes, str]:
        seen: list[str] = []

        async def answer(request: web.Request) -> web.StreamResponse:
            seen.append(request.query_string)
            return web.Response(text='{"sid": "SM9", "status": "queued"}', status=201)

        async with HttpReceiver(answers={"/send": answer}) as receiver:
            one = HttpSmsProvider(HttpSettings(name="x", url=receiver.url("/send"), **more))
            provider_id = await one.send(sms)
            await one.close()
            [call] = receiver.calls
            return seen[0], call.headers, call.body, provider_id

    return asyncio.run(run())


def test_nothing_in_a_text_becomes_another_parameter() -> None:
    query, _, _, _ = wire(query={"to": "{number}", "text": "{text}", "key": "{secret}"}, secret="k&y", method="GET")
    assert parse_qs(query) == {"to": ["+447400123456"], "text": [SMS.text], "key": ["k&y"]}
    _, headers, body, _ = wire(form={"To": "{number}", "Body": "{text}"})
    assert headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert parse_qs(body.decode()) == {"To": ["+447400123456"], "Body": [SMS.text]}
    _, headers, body, _ = wire(json={"to": [{"number": "{digits}"}], "text": "{text}", "n": 1})
    assert json.loads(body) == {"to": [{"number": "447400123456"}], "text": SMS.text, "n": 1}


def test_a_twilio_shaped_call() -> None:
    _, headers, body, provider_id = wire(
        username="AC1",
        secret="token",
        form={"To": "{number}", "From": "+15005550006", "Body": "{text}", "StatusCallback": "{receipt_url}"},
        message_id='"sid": ?"([^"]+)"',
    )
    assert headers["authorization"] == "Basic QUMxOnRva2Vu"
    assert parse_qs(body.decode())["StatusCallback"] == ["https://us/r?x"]
    assert provider_id == "SM9"


@pytest.mark.parametrize(("unicode", "kind"), [(True, "unicode"), (False, "text")])
def test_parameters_for_texts_outside_gsm(unicode: bool, kind: str) -> None:
    sms = replace(SMS, unicode=unicode)
    _, _, body, _ = wire(sms, json={"text": "{text}", "type": "text"}, unicode={"type": "unicode"})
    assert json.loads(body)["type"] == kind


@pytest.mark.bar("B54")
def test_a_provider_whose_certificate_does_not_verify_is_told_nothing(tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path)
    asked: list[bytes] = []

    async def run() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=certificate.server)
        port = server.sockets[0].getsockname()[1]
        one = provider(f"https://127.0.0.1:{port}/send")
        with pytest.raises(DeliveryFailed):
            await one.send(SMS)
        await one.close()
        server.close()

    asyncio.run(run())
    assert not any(asked)


@pytest.mark.bar("B17")
def test_a_failure_names_neither_code_nor_number(caplog: pytest.LogCaptureFixture) -> None:
    one = HttpSmsProvider(
        HttpSettings(name="x", url="http://127.0.0.1:9/send", method="GET", query={"t": "{text}", "n": "{number}"})
    )
    with pytest.raises(DeliveryFailed) as failed:
        asyncio.run(one.send(SMS))
    told = f"{failed.value!r} {failed.value.__cause__!r} {caplog.text} {SMS!r}"
    assert "12345678" not in told
    assert "7400" not in told


# -- other kinds -----------------------------------------------------------------------------------------------------
def test_the_file_for_development_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "sms.jsonl"
    one = FileSmsProvider("file", file)
    for _ in range(2):
        asyncio.run(one.send(SMS))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["text"] for line in lines] == [SMS.text] * 2
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(DeliveryFailed):
        asyncio.run(FileSmsProvider("file", tmp_path / "none" / "x").send(SMS))


def test_apprise_sends_the_text_as_it_is() -> None:
    async def run() -> list[dict[str, Any]]:
        async with HttpReceiver() as receiver:
            url = f"json://127.0.0.1:{receiver.port}/sms?:message=text&:title=&:type=&:version=&:attachments=&:to={{digits}}"
            one = AppriseSmsProvider("apprise", url, secret=None, timeout=10)
            assert await one.send(SMS) == ""
            return [json.loads(call.body) for call in receiver.calls]

    [body] = asyncio.run(run())
    assert body["text"] == SMS.text


def test_apprise_that_fails_is_a_failure() -> None:
    async def run() -> None:
        async with HttpReceiver(answers={"/sms": 500}) as receiver:
            failing = AppriseSmsProvider("a", f"json://127.0.0.1:{receiver.port}/sms", secret=None, timeout=10)
            with pytest.raises(DeliveryFailed):
                await failing.send(SMS)
        with pytest.raises(DeliveryFailed) as failed:
            await AppriseSmsProvider("a", "nonsense://", secret=None, timeout=10).send(SMS)
        assert failed.value.final

    asyncio.run(run())
