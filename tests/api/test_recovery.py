"""Ways back over HTTP: what each kind of session opens, what is shown once, and what is alike for everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_deployment import PASSWORD, Deployment, Owner, Reply, order
from leverlock.api.app import ENDPOINTS
from leverlock.api.endpoint import Endpoint, Who
from leverlock.app.accounts import set_address
from leverlock.app.mailed_secrets import with_secret
from leverlock.domain.ids import make_id
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.messages import Channel, Message

GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.who is not Who.ANYBODY]
NEW_PASSWORD = "another horse, another battery"

# All that a session may call that has not passed everything. Whoever adds a row here says why in the same commit.
HALF_SIGNED = {
    ("GET", "/v1/sessions/current"),
    ("DELETE", "/v1/sessions/current"),
    ("POST", "/v1/sessions/current/login-challenge"),
    ("POST", "/v1/sessions/current/login-challenge/assertion-options"),
    ("POST", "/v1/sessions/current/login-challenge/assertion"),
    ("POST", "/v1/sessions/current/recovery"),
}
RECOVERING = {
    *HALF_SIGNED,
    ("POST", "/v1/recoveries"),
    ("POST", "/v1/password"),
    ("POST", "/v1/environments/{environment}/authenticators"),
    ("POST", "/v1/environments/{environment}/authenticators/{id}/confirmation"),
    ("POST", "/v1/challenges/{id}/proof"),
    # The way back of who has lost his codes as well: he asks for help, and people decide.
    ("POST", "/v1/recovery-cases"),
    ("GET", "/v1/recovery-cases"),
    ("GET", "/v1/recovery-cases/{id}"),
    ("POST", "/v1/recovery-cases/{id}/documents"),
    ("POST", "/v1/recovery-cases/{id}/submission"),
    ("DELETE", "/v1/recovery-cases/{id}"),
    ("GET", "/v1/security-keys"),
    ("POST", "/v1/security-keys/{id}/loss"),
}


def told_at(owner: Owner, target: str = "owner@example.com") -> None:
    deployment = owner.deployment
    deployment.now(
        lambda tx: set_address(
            tx, deployment.world, account_id=owner.account_id, channel=Channel.EMAIL, target=target, by="test:"
        )
    )


def mails(owner: Owner, kind: str) -> list[dict[str, Any]]:
    """What the messages of this kind tell their readers, as they leave."""
    rows = owner.deployment.rows(
        "SELECT body FROM outbox WHERE account_id = ? AND kind = ? ORDER BY created_at", (owner.account_id, kind)
    )
    waiting = [Message(owner.account_id, "", Channel.EMAIL, "", kind, row[0], 0, 0) for row in rows]
    return [json.loads(with_secret(owner.deployment.sealer, message).body) for message in waiting]


def with_login(deployment: Deployment) -> tuple[Owner, dict[str, list[str]]]:
    """An owner with futures and login on; his recovery codes by environment."""
    owner = deployment.owner(futures=False)
    codes = {"futures": owner.enable("futures")["recovery_codes"]}
    codes["login"] = bound(owner, "login")["recovery_codes"]
    return owner, codes


def bound(owner: Owner, environment: str) -> dict[str, Any]:
    """Bind an app that a market which is on has to vouch for."""
    path = f"/v1/environments/{environment}/authenticators"
    asked = owner.call("POST", path)
    if asked.status == 401:
        agreed(owner, asked)
    return owner.enable(environment)


def agreed(owner: Owner, asked: Reply, *, token: str | None = None) -> None:
    """Answer a challenge with all that it requires, and move on to unused codes."""
    assert asked.problem == "step-up-required", asked
    challenge = asked.json["challenge"]
    body: dict[str, Any] = {}
    if "totp" in challenge["requires"]:
        body["code"] = owner.code(challenge["environment"])
    if "password" in challenge["requires"]:
        body["password"] = PASSWORD
    more = {} if token is None else {"token": token}
    proved = owner.call("POST", f"/v1/challenges/{challenge['id']}/proof", body, **more)
    assert proved.status == 200, proved
    owner.deployment.clock.next_step()


def half(owner: Owner, password: str = PASSWORD) -> str:
    opened = owner.deployment.api.call("POST", "/v1/sessions", {"login": owner.login, "password": password})
    assert opened.json["state"] == "login_challenge", opened
    return str(opened.json["token"])


def recovering(owner: Owner) -> str:
    token = half(owner)
    shown = owner.call("POST", "/v1/sessions/current/recovery", token=token)
    assert (shown.status, shown.json["state"]) == (200, "recovery")
    return token


def by_mail(owner: Owner) -> str:
    asked = owner.deployment.api.call("POST", "/v1/password-resets", {"login": owner.login})
    assert asked.status == 202
    link = mails(owner, "password_reset.link")[-1]["token"]
    opened = owner.deployment.api.call("POST", "/v1/sessions/by-mail", {"token": link})
    assert (opened.status, opened.json["state"]) == (201, "recovery"), opened
    return str(opened.json["token"])


def filled(endpoint: Endpoint) -> str:
    prefix = {"addresses": "adr", "challenges": "ch", "authenticators": "au", "security-keys": "sk", "keys": "key"}
    path = endpoint.path.replace("{environment}", "futures").replace("{subject}", "system")
    for segment, name in (*prefix.items(), ("changes", "chg"), ("sms", "au"), ("recovery-cases", "case")):
        path = path.replace(f"{segment}/{{id}}", f"{segment}/{make_id(name, bytes(16))}")
    for parameter, name in (("account", "acc"), ("case", "case"), ("document", "doc"), ("proposal", "prop")):
        path = path.replace(f"{{{parameter}}}", make_id(name, bytes(16)))
    return path


# -- the crawl (B61) ---------------------------------------------------------------------------------------------------
@pytest.mark.bar("B61")
@pytest.mark.mission("M1")
@pytest.mark.parametrize("kind", ["login_challenge", "recovery", "by mail"])
def test_a_session_that_is_not_full_opens_no_route_but_its_way_on(deployment: Deployment, kind: str) -> None:
    """Every row of the table, called without a body: who may not call it hears that before anything else."""
    owner, _ = with_login(deployment)
    told_at(owner)
    token = {"login_challenge": half, "recovery": recovering, "by mail": by_mail}[kind](owner)
    opens = HALF_SIGNED if kind == "login_challenge" else RECOVERING
    expected = "login-challenge-open" if kind == "login_challenge" else "recovery-only"
    for endpoint in GUARDED:
        called = (endpoint.method, endpoint.path)
        if called in (("DELETE", "/v1/sessions/current"), ("POST", "/v1/sessions/current/recovery")):
            continue  # both are open to it, and would make it another
        answer = owner.call(endpoint.method, filled(endpoint), token=token)
        if called in opens:
            assert answer.status in (200, 400, 401, 404, 409, 415) or answer.problem == "recovery-only", (
                called,
                answer,
            )
        else:
            assert answer.problem == expected, (called, answer)
    before = deployment.digest()
    for endpoint in GUARDED:
        if (endpoint.method, endpoint.path) not in opens:
            owner.call(endpoint.method, filled(endpoint), {}, token=token)
    assert before == deployment.digest()


@pytest.mark.bar("B61")
def test_the_table_says_who_may_call_what_and_no_more(deployment: Deployment) -> None:
    of_kind = {
        kind: {(row.method, row.path) for row in ENDPOINTS if row.who is kind}
        for kind in (Who.HALF_SIGNED, Who.RECOVERER)
    }
    assert of_kind[Who.HALF_SIGNED] == HALF_SIGNED
    assert of_kind[Who.RECOVERER] == RECOVERING - HALF_SIGNED


@pytest.mark.bar("B61")
@pytest.mark.bar("B34")
def test_a_recovering_session_answers_nobodys_challenge(deployment: Deployment) -> None:
    owner, _ = with_login(deployment)
    challenge = owner.challenged()["id"]
    told_at(owner)
    for token in (recovering(owner), by_mail(owner)):
        answer = owner.call("POST", f"/v1/challenges/{challenge}/proof", {"code": owner.code()}, token=token)
        assert answer.problem == "unknown-id"
    assert owner.prove(challenge).status == 200


# -- recovery codes ----------------------------------------------------------------------------------------------------
@pytest.mark.mission("M20")
@pytest.mark.bar("B31")
@pytest.mark.bar("B32")
def test_a_code_leads_to_a_new_app_and_to_new_codes_once(deployment: Deployment) -> None:
    owner, codes = with_login(deployment)
    token = recovering(owner)
    opened = owner.call("POST", "/v1/recoveries", {"environment": "login", "code": codes["login"][7]}, token=token)
    assert opened.status == 201, opened
    assert opened.json["expires_at"] == deployment.clock.now_ms() + 10 * MINUTE
    assert opened.json["held_until"] == deployment.clock.now_ms() + DAY
    owner.token = token
    confirmed = owner.enable("login")
    assert len(confirmed["recovery_codes"]) == 10
    assert [step["path"] for step in confirmed["next"]] == ["/v1/sessions"]
    again = recovering(owner)
    old = owner.call("POST", "/v1/recoveries", {"environment": "login", "code": codes["login"][8]}, token=again)
    assert (old.status, old.problem) == (403, "wrong-code")
    shown = owner.again_with_login().call("GET", "/v1/environments").json["environments"]
    left = {one["environment"]: one.get("recovery_codes_left") for one in shown}
    assert left == {"login": 10, "spot": None, "margin": None, "futures": 10}
    held = {one["environment"]: sorted(h["scope"] for h in one.get("holds", ())) for one in shown}
    assert held["login"] == ["addresses", "keys", "movements", "opening"]


@pytest.mark.bar("B31")
@pytest.mark.bar("B58")
def test_new_codes_are_shown_once_and_never_cached(deployment: Deployment) -> None:
    owner = deployment.owner()
    path = "/v1/environments/futures/recovery-codes"
    agreed(owner, owner.call("POST", path, key="k"))
    made = owner.call("POST", path, key="k")
    assert (made.status, len(made.json["recovery_codes"])) == (201, 10)
    assert made.headers["cache-control"] == "no-store"
    again = owner.call("POST", path, key="k")
    assert (again.status, again.problem) == (409, "secret-not-repeated")
    assert owner.call("GET", path).status == 405
    for code in made.json["recovery_codes"]:
        for form in (code, code.replace("-", "")):
            assert form.encode() not in deployment.path.read_bytes()


@pytest.mark.bar("B62")
@pytest.mark.bar("B33")
def test_wrong_codes_are_one_answer_to_the_byte_and_five_of_them_a_days(deployment: Deployment) -> None:
    owner, codes = with_login(deployment)
    stranger, theirs = with_login(deployment)
    token = recovering(owner)
    tries = [
        {"environment": "login", "code": "aaaaaa-aaaaaa-aaaaaa-aaaaaa"},
        {"environment": "login", "code": theirs["login"][0]},
        {"environment": "login", "code": codes["futures"][0]},
        {"environment": "spot", "code": codes["futures"][0]},
        {"environment": "futures", "code": codes["futures"][0], "password": "not the password"},
    ]
    answers = [owner.call("POST", "/v1/recoveries", body, token=token) for body in tries]
    assert {(one.status, one.body) for one in answers} == {(403, answers[0].body)}
    assert answers[0].problem == "wrong-code"
    spent = owner.call("POST", "/v1/recoveries", {"environment": "login", "code": codes["login"][0]}, token=token)
    assert (spent.status, spent.problem) == (429, "recovery-budget-spent")
    assert int(spent.headers["retry-after"]) > 23 * 3600
    assert owner.counters()[0] == 0  # and the codes of his app go on
    assert owner.prove(owner.challenged()["id"]).status == 200
    assert stranger.call("GET", "/v1/keys").status == 200


def test_a_retried_recovery_is_one(deployment: Deployment) -> None:
    owner, codes = with_login(deployment)
    body = {"environment": "futures", "code": codes["futures"][0], "password": PASSWORD}
    first = owner.call("POST", "/v1/recoveries", body, key="k")
    again = owner.call("POST", "/v1/recoveries", body, key="k")
    assert (first.status, again.status, first.body) == (201, 201, again.body)


@pytest.mark.bar("B30")
def test_an_authenticator_is_removed_by_itself_alone(deployment: Deployment) -> None:
    owner = deployment.owner()
    shown = owner.call("GET", "/v1/environments").json["environments"]
    [bound_id] = [one["authenticator"]["id"] for one in shown if one["environment"] == "futures"]
    path = f"/v1/environments/futures/authenticators/{bound_id}"
    asked = owner.call("DELETE", path)
    assert asked.json["challenge"]["requires"] == ["password", "totp"]
    assert owner.call("DELETE", f"/v1/environments/spot/authenticators/{bound_id}").problem == "unknown-id"
    agreed(owner, asked)
    assert owner.call("DELETE", path).status == 204
    refused = owner.call("POST", "/v1/authorize", order())
    assert (refused.status, refused.problem) == (403, "no-usable-factor")
    assert refused.json["next"][0]["path"] == "/v1/recoveries"


# -- the password ------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B52")
@pytest.mark.bar("B60")
def test_a_changed_password_ends_the_other_sessions_at_once(deployment: Deployment) -> None:
    owner = deployment.owner()
    others = [owner.again() for _ in range(3)]
    waiting = others[0].challenged()["id"]
    agreed(owner, owner.call("POST", "/v1/password", {"password": NEW_PASSWORD}))
    other = owner.call("POST", "/v1/password", {"password": NEW_PASSWORD + "!"})
    assert other.problem == "step-up-required"  # the approval was for that password
    done = owner.call("POST", "/v1/password", {"password": NEW_PASSWORD})
    assert (done.status, done.json) == (200, {"state": "set", "next": []})
    assert {one.call("GET", "/v1/keys").status for one in others} == {401}
    assert owner.call("GET", f"/v1/challenges/{waiting}").json["state"] == "cancelled"
    api = deployment.api
    old = api.call("POST", "/v1/sessions", {"login": owner.login, "password": PASSWORD})
    assert old.problem == "sign-in-failed"
    assert api.call("POST", "/v1/sessions", {"login": owner.login, "password": NEW_PASSWORD}).status == 201
    for text in (NEW_PASSWORD, NEW_PASSWORD + "!"):
        assert text.encode() not in deployment.path.read_bytes()


def test_a_new_password_is_refused_by_its_length_and_names_the_field(deployment: Deployment) -> None:
    owner = deployment.owner()
    for text in ("short", "x" * 257):
        refused = owner.call("POST", "/v1/password", {"password": text})
        assert (refused.status, refused.json["field"]) == (400, "$.password")
    never = owner.call("POST", "/v1/password", {"password": NEW_PASSWORD, "environment": "margin"})
    assert (never.status, never.problem) == (403, "enrolment-required")


@pytest.mark.bar("B62")
def test_asking_for_a_link_says_the_same_to_the_byte_for_every_login(deployment: Deployment) -> None:
    owner, locked = deployment.owner(), deployment.owner()
    told_at(owner)
    told_at(locked)
    deployment.now(lambda tx: tx.set_account_state(locked.account_id, "locked"))
    logins = [owner.login, locked.login, deployment.owner().login, "nobody", owner.login.upper()]
    answers = [deployment.api.call("POST", "/v1/password-resets", {"login": login}) for login in logins]
    assert {(one.status, one.body) for one in answers} == {(202, answers[0].body)}
    assert len(mails(owner, "password_reset.link")) == 2
    assert mails(locked, "password_reset.link") == []


def test_a_forgotten_password_is_set_with_link_and_code(deployment: Deployment) -> None:
    owner, _ = with_login(deployment)
    told_at(owner)
    token = by_mail(owner)
    asked = owner.call("POST", "/v1/password", {"password": NEW_PASSWORD}, token=token)
    assert asked.json["challenge"]["requires"] == ["totp"]
    assert asked.json["challenge"]["given"] == ["password"]
    agreed(owner, asked, token=token)
    done = owner.call("POST", "/v1/password", {"password": NEW_PASSWORD}, token=token)
    assert (done.status, [step["path"] for step in done.json["next"]]) == (200, ["/v1/sessions"])
    assert owner.call("GET", "/v1/sessions/current", token=token).problem == "not-authenticated"
    entered = half(owner, NEW_PASSWORD)
    code = {"code": owner.code("login")}
    assert owner.call("POST", "/v1/sessions/current/login-challenge", code, token=entered).status == 200
    assert owner.call("POST", "/v1/authorize", order(), token=entered).problem == "on-hold"
    reducing = owner.call("POST", "/v1/authorize", order(reduce_only=True), token=entered)
    assert reducing.problem == "step-up-required"


@pytest.mark.bar("B73")
def test_a_bent_or_spent_link_opens_nothing_and_all_say_the_same(deployment: Deployment) -> None:
    owner = deployment.owner()
    told_at(owner)
    by_mail(owner)
    link = mails(owner, "password_reset.link")[-1]["token"]
    bent = [link, link[:-1], link + "a", link.upper(), "x", f"{owner.account_id}.", "acc_." + "a" * 52, "system.x"]
    answers = [deployment.api.call("POST", "/v1/sessions/by-mail", {"token": text}) for text in bent]
    assert {(one.status, one.body) for one in answers} == {(404, answers[0].body)}


# -- addresses ---------------------------------------------------------------------------------------------------------
def test_an_address_is_named_confirmed_replaced_and_left(deployment: Deployment) -> None:
    owner = deployment.owner()
    told_at(owner)
    [old] = owner.call("GET", "/v1/addresses").json["addresses"]
    body = {"channel": "email", "target": "new@example.com", "replaces": old["id"]}
    agreed(owner, owner.call("POST", "/v1/addresses", body))
    named = owner.call("POST", "/v1/addresses", body)
    assert (named.status, named.json["state"], named.json["replaces"]) == (202, "named", old["id"])
    [step] = named.json["next"]
    wrong = owner.call(step["method"], step["path"], {"code": "aaaaaa-aaaaaa-aaaaaa-aaaaaa"})
    assert wrong.problem == "wrong-code"
    [mail] = mails(owner, "address.confirm")
    served = owner.call(step["method"], step["path"], {"code": mail["code"]})
    assert (served.status, served.json["state"]) == (200, "serving")
    listed = {one["target"]: one for one in owner.call("GET", "/v1/addresses").json["addresses"]}
    assert listed["owner@example.com"]["state"] == "leaving"
    assert listed["owner@example.com"]["until"] == deployment.clock.now_ms() + 7 * DAY
    assert owner.call("DELETE", f"/v1/addresses/{old['id']}").problem == "unknown-id"
    assert owner.call("DELETE", f"/v1/addresses/{listed['new@example.com']['id']}").problem == "conflict"


def test_a_webhooks_signing_secret_is_shown_when_it_is_named(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    body = {"channel": "webhook", "target": "https://hooks.example.com/leverlock"}
    asked = owner.call("POST", "/v1/addresses", body)
    assert asked.json["challenge"]["requires"] == ["password"]
    agreed(owner, asked)
    named = owner.call("POST", "/v1/addresses", body)
    assert named.json["secret"].startswith("whsec_")
    assert "secret" not in owner.call("GET", "/v1/addresses").json["addresses"][0]


@pytest.mark.parametrize(
    ("channel", "target"),
    [
        ("email", "nobody"),
        ("email", "a@b@example.com"),
        ("email", "a b@example.com"),
        ("email", "a@exämple.com"),
        ("webhook", "http://hooks.example.com/"),
        ("webhook", "https://user:word@hooks.example.com/"),
        ("webhook", "https://[::1"),
        ("webhook", "ftp://hooks.example.com/"),
        ("webhook", "https://hooks.example.com/\u202e"),
        ("webhook", "javascript:alert(1)"),
    ],
)
def test_what_is_no_address_is_refused_by_name(deployment: Deployment, channel: str, target: str) -> None:
    owner = deployment.owner(futures=False)
    refused = owner.call("POST", "/v1/addresses", {"channel": channel, "target": target})
    assert (refused.status, refused.json["field"]) == (400, "$.target")


# -- keys --------------------------------------------------------------------------------------------------------------
def test_this_was_not_me_is_lifted_with_password_and_code(deployment: Deployment) -> None:
    owner = deployment.owner()
    key_id = deployment.key(owner.account_id)
    path = f"/v1/keys/{key_id}/unfreezing"
    assert owner.call("POST", path).problem == "conflict"
    with deployment_frozen(deployment, owner, key_id):
        agreed(owner, owner.call("POST", path))
        assert owner.call("POST", path).status == 204
        [shown] = owner.call("GET", "/v1/keys").json["keys"]
        assert shown["state"] == "active"
        assert owner.call("POST", path).problem == "conflict"
    assert owner.call("POST", f"/v1/keys/{make_id('key', bytes(16))}/unfreezing").problem == "unknown-id"


class deployment_frozen:
    """A key that its owner stopped with *this was not me*."""

    def __init__(self, deployment: Deployment, owner: Owner, key_id: str) -> None:
        from leverlock.app import answers, decide
        from leverlock.domain.action import Intent, parse
        from leverlock.domain.challenge import Denial
        from leverlock.domain.trading_actions import ORDER_PLACE

        fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
        action = parse(ORDER_PLACE, fields, {"leverage": "75", "margin_mode": "CROSSED"})
        intent = Intent(owner.account_id, f"key:{key_id}", "main", action)
        asked = deployment.now(lambda tx: decide.ask(tx, deployment.world, intent=intent))
        deployment.now(
            lambda tx: answers.deny(
                tx,
                deployment.world,
                account_id=owner.account_id,
                answered_by="session:test",
                challenge_id=asked.challenge.challenge_id,
                denial=Denial.NOT_ME,
            )
        )

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


# -- protection off, from outside --------------------------------------------------------------------------------------
@pytest.mark.bar("B37")
def test_protection_ends_a_day_after_it_was_asked_for_unless_a_link_stops_it(deployment: Deployment) -> None:
    owner = deployment.owner()
    told_at(owner)
    path = "/v1/environments/futures/protection"
    for stopped in (True, False):
        owner.sign_in()
        asked = owner.call("DELETE", path)
        assert asked.json["challenge"]["requires"] == ["password", "totp"]
        agreed(owner, asked)
        waiting = owner.call("DELETE", path)
        assert (waiting.status, waiting.json["due_at"]) == (202, deployment.clock.now_ms() + DAY)
        assert owner.call("POST", "/v1/authorize", order()).status == 401  # guarded as before
        link = mails(owner, "change.waiting")[-1]["cancel"]
        if stopped:
            for _ in range(2):
                assert deployment.api.call("POST", "/v1/cancellations", {"token": link}).status == 204
        deployment.clock.advance(DAY - 1)
        sweep(deployment, owner)
        assert order_of(owner).status == 401
        deployment.clock.advance(1)
        sweep(deployment, owner)
        assert order_of(owner).status == (401 if stopped else 200)
        late = deployment.api.call("POST", "/v1/cancellations", {"token": link})
        assert late.status == (204 if stopped else 409)


def order_of(owner: Owner) -> Reply:
    return owner.again().call("POST", "/v1/authorize", order())


def sweep(deployment: Deployment, owner: Owner) -> None:
    from leverlock.app.sweep import sweep_account

    deployment.now(lambda tx: sweep_account(tx, deployment.world, account_id=owner.account_id))
