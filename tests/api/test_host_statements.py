"""Identity told by the host: what a signed statement stands for, and every one that does not hold (B87, semantics 14).

The host here is written with `cryptography` and the standard library alone, from the documentation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api_deployment import AUDIENCE, Deployment, Owner, Reply
from leverlock.app import accounts
from leverlock.domain.limits import MINUTE, SECOND
from leverlock.verifiers.host_statement import integrator_public_key

KEY_FIELDS = {"label": "my bot", "scopes": "TRADE"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pem(public: Any) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[no-any-return]


@dataclass
class Host:
    """A venue's back end with a signing key of its own."""

    deployment: Deployment
    kind: str = "EdDSA"
    count: int = 0
    private: Any = None
    key_id: str = ""
    token: str = ""
    integrator: str = ""
    extra_header: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        deployment = self.deployment
        self.private = Ed25519PrivateKey.generate() if self.kind == "EdDSA" else ec.generate_private_key(ec.SECP256R1())
        self.token = deployment.integrator()
        [self.integrator] = [
            row[0]
            for row in deployment.rows(
                "SELECT integrator_id FROM integrator WHERE token_hash = ?",
                (hashlib.sha256(self.token.encode()).digest(),),
            )
        ]
        self.key_id = self.add_key(self.private.public_key())

    def add_key(self, public: Any) -> str:
        algorithm, der = integrator_public_key(pem(public))
        added = self.deployment.now(
            lambda tx: accounts.add_integrator_key(
                tx,
                self.deployment.world,
                integrator_id=self.integrator,
                algorithm=algorithm,
                public_key=der,
                by="operator:test",
            )
        )
        return str(added.key_id)

    # -- what it says ------------------------------------------------------------------------------------------------
    def wanted(self, owner: Owner, action: str = "futures.api_key.create", **fields: str) -> dict[str, Any]:
        return {"account": owner.account_id, "action": {"type": action, "fields": fields or KEY_FIELDS}}

    def digest(self, wanted: dict[str, Any]) -> str:
        """By the documented canonical form, without asking anybody."""
        action = wanted["action"]
        form = {
            "version": "1",
            "account": wanted["account"],
            "environment": action["type"].split(".")[0],
            "principal": f"integrator:{self.integrator}",
            "target": wanted.get("target", ""),
            "action": action["type"],
            "fields": action["fields"],
        }
        return hashlib.sha256(rfc8785.dumps(form)).hexdigest()

    def claims(self, owner: Owner, wanted: dict[str, Any], **changed: Any) -> dict[str, Any]:
        now = self.deployment.clock.now_ms() // 1000
        self.count += 1
        return {
            "iss": self.integrator,
            "sub": owner.account_id,
            "aud": AUDIENCE,
            "jti": f"statement-number-{self.count:06d}",
            "iat": now,
            "exp": now + 60,
            "action_digest": self.digest(wanted),
            "authenticated_at": now - 3600,
            "password_verified_at": now,
            **changed,
        }

    def signed(self, claims: dict[str, Any] | bytes, header: dict[str, Any] | None = None) -> str:
        head = {"alg": self.kind, "typ": "leverlock-identity+jwt", "kid": self.key_id, **(header or {})}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        covered = f"{b64(json.dumps(head).encode())}.{b64(payload)}"
        return f"{covered}.{b64(self.signature(covered.encode()))}"

    def signature(self, covered: bytes) -> bytes:
        if self.kind == "EdDSA":
            return self.private.sign(covered)  # type: ignore[no-any-return]
        r, s = decode_dss_signature(self.private.sign(covered, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def statement(self, owner: Owner, wanted: dict[str, Any], **changed: Any) -> str:
        return self.signed(self.claims(owner, wanted, **changed))

    def authorize(self, wanted: dict[str, Any], statement: str | None = None, **more: Any) -> Reply:
        body = wanted if statement is None else {**wanted, "statement": statement}
        return self.deployment.api.call("POST", "/v1/authorize", body, token=self.token, **more)


@pytest.fixture(params=["EdDSA", "ES256"])
def host(request: pytest.FixtureRequest, deployment: Deployment) -> Host:
    return Host(deployment, request.param)


@pytest.fixture
def owner(deployment: Deployment) -> Owner:
    return deployment.owner()


def told(owner: Owner, kind: str = "identity.told") -> list[dict[str, Any]]:
    return [event["details"] for event in owner.events() if event["kind"] == kind]


def rows(owner: Owner, sql: str) -> list[tuple[Any, ...]]:
    return owner.deployment.rows(sql, (owner.account_id,))


@pytest.mark.mission("M18")
def test_the_hosts_word_stands_for_the_password_and_the_owner_answers_the_rest(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    asked = host.authorize(wanted, host.statement(owner, wanted))
    challenge = asked.json["challenge"]
    assert (asked.status, challenge["given"], challenge["requires"]) == (401, ["password"], ["totp"])
    assert host.authorize(wanted).status == 401, "the word alone approves nothing"
    assert owner.prove(challenge["id"]).status == 200
    granted = host.authorize(wanted)
    assert granted.json["decision"] == "granted"
    spent = host.deployment.api.call("POST", "/v1/redeem", {**wanted, "grant": granted.json["grant"]}, token=host.token)
    assert spent.status == 200
    [event] = told(owner)
    assert event["challenge"] == challenge["id"]
    assert event["password_verified_at"] == host.deployment.clock.now_ms() // 1000 * 1000


def test_a_word_that_comes_later_counts_for_the_challenge_that_waits(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    first = host.authorize(wanted).json["challenge"]
    assert first["requires"] == ["password", "totp"]
    second = host.authorize(wanted, host.statement(owner, wanted)).json["challenge"]
    assert (second["id"], second["requires"]) == (first["id"], ["totp"])
    assert rows(owner, "SELECT wrong_answers FROM challenge WHERE account_id = ?") == [(0,)]


@pytest.mark.bar("B87")
def test_it_never_stands_for_a_code(host: Host, owner: Owner) -> None:
    """Layer 1 and layer 2 of a withdrawal, and an order: the codes are asked for all the same."""
    fields = {"asset": "USDT", "network": "ETH", "address": "0xabc", "amount": "5"}
    wanted = host.wanted(owner, "futures.withdraw", **fields)
    challenge = host.authorize(wanted, host.statement(owner, wanted)).json["challenge"]
    assert (challenge["given"], challenge["requires"]) == (["password"], ["totp", "wallet"])
    wanted = host.wanted(owner, "futures.order.place", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
    asked = host.authorize(wanted, host.statement(owner, wanted))
    assert (asked.status, asked.json["challenge"]["requires"]) == (401, ["totp"])
    assert "given" not in asked.json["challenge"]


def test_where_nothing_but_the_password_is_asked_for_it_approves(host: Host, deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    wanted = host.wanted(owner)
    assert host.authorize(wanted).json["challenge"]["requires"] == ["password"]
    granted = host.authorize(wanted, host.statement(owner, wanted))
    assert (granted.status, granted.json["decision"]) == (200, "granted")
    other = host.wanted(owner, label="another", scopes="TRADE")
    assert host.authorize(other, host.statement(owner, other)).json["decision"] == "granted", "in one call"


def test_an_ordinary_action_with_a_statement_is_allowed_and_the_statement_is_checked(host: Host, owner: Owner) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    wanted = host.wanted(owner, "futures.order.place", **order)
    wanted["action"]["facts"] = {"leverage": 20, "margin_mode": "CROSSED"}
    assert host.authorize(wanted, host.statement(owner, wanted)).json["decision"] == "allow"
    assert host.authorize(wanted, "a.b.c").problem == "statement-refused"


@pytest.mark.bar("B87")
def test_a_statement_serves_once(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    statement = host.statement(owner, wanted)
    assert host.authorize(wanted, statement).status == 401
    again = host.authorize(wanted, statement)
    assert (again.status, again.problem, again.json["detail"]) == (403, "statement-refused", "used")
    other = {**wanted, "target": "elsewhere"}
    assert host.authorize(other, host.statement(owner, other, jti="statement-number-000001")).json["detail"] == "used"
    assert len(told(owner)) == 1


@pytest.mark.bar("B87")
def test_of_many_who_present_it_at_once_one_is_heard(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    statement = host.statement(owner, wanted)
    answers: list[int] = []
    racers = [
        threading.Thread(target=lambda: answers.append(host.authorize(wanted, statement).status)) for _ in range(8)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(20)
    assert sorted(answers) == [401] + [403] * 7
    assert len(told(owner)) == 1


@pytest.mark.bar("B87")
def test_a_repeated_call_with_its_idempotency_key_has_its_first_answer(host: Host, owner: Owner) -> None:
    """A lost answer is asked for again; the statement is not used a second time."""
    wanted = host.wanted(host.deployment.owner(futures=False))
    statement = host.statement(Owner(host.deployment, wanted["account"], ""), wanted)
    first = host.authorize(wanted, statement, key="k-1")
    again = host.authorize(wanted, statement, key="k-1")
    assert first.status == 200
    assert again.body == first.body


# -- what does not hold ------------------------------------------------------------------------------------------------
Change = Callable[[Host, Owner, dict[str, Any]], str]


def changed(**claims: Any) -> Change:
    return lambda host, owner, wanted: host.statement(owner, wanted, **claims)


def at(**offsets: int) -> Change:
    """Times, in seconds from now."""

    def make(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
        now = host.deployment.clock.now_ms() // 1000
        return host.statement(owner, wanted, **{name: now + offset for name, offset in offsets.items()})

    return make


def without(name: str) -> Change:
    def make(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
        claims = host.claims(owner, wanted)
        del claims[name]
        return host.signed(claims)

    return make


def headed(**header: Any) -> Change:
    return lambda host, owner, wanted: host.signed(host.claims(owner, wanted), header)


def forged(alg: str) -> Change:
    """Signed otherwise than with the registered key, under a header that says so."""

    def make(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
        head = {"alg": alg, "typ": "leverlock-identity+jwt", "kid": host.key_id}
        covered = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(host.claims(owner, wanted)).encode())}"
        public = pem(host.private.public_key()).encode()
        if alg == "none":
            return f"{covered}."
        if alg.startswith("HS"):
            return f"{covered}.{b64(hmac.digest(public, covered.encode(), 'sha256'))}"
        if alg.startswith("RS"):
            private = rsa.generate_private_key(65537, 2048)
            return f"{covered}.{b64(private.sign(covered.encode(), PKCS1v15(), hashes.SHA256()))}"
        return f"{covered}.{b64(host.signature(covered.encode()))}"

    return make


def other_key(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    """Signed with a key that is not the one it names."""
    twin = Host(host.deployment, host.kind)
    twin.integrator, twin.key_id = host.integrator, host.key_id
    return twin.statement(owner, wanted)


def other_host(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    """Signed properly by another host, presented by this one."""
    twin = Host(host.deployment, host.kind)
    return twin.signed({**host.claims(owner, wanted), "iss": host.integrator})


def removed_key(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    statement = host.statement(owner, wanted)
    host.deployment.now(lambda tx: accounts.remove_integrator_key(tx, key_id=host.key_id, by="operator:test"))
    return statement


def other_action(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    return host.statement(owner, {**wanted, "action": {**wanted["action"], "fields": {"label": "x", "scopes": "ALL"}}})


def stranger(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    return host.statement(owner, wanted, sub=host.deployment.owner(futures=False).account_id)


def twice(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    text = json.dumps(host.claims(owner, wanted))
    return host.signed((text[:-1] + f', "sub": "{owner.account_id}"}}').encode())


def flipped(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    head, payload, signature = host.statement(owner, wanted).split(".")
    return f"{head}.{payload}.{('A' if signature[0] != 'A' else 'B')}{signature[1:]}"


def payload_changed(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    head, _, signature = host.statement(owner, wanted).split(".")
    return f"{head}.{b64(json.dumps(host.claims(owner, wanted)).encode())}.{signature}"


def four_parts(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    return host.statement(owner, wanted) + ".AAAA"


def detached(host: Host, owner: Owner, wanted: dict[str, Any]) -> str:
    head, _, signature = host.statement(owner, wanted).split(".")
    return f"{head}..{signature}"


BAD: dict[str, tuple[Change, str]] = {
    "alg none": (forged("none"), "algorithm"),
    "alg None": (forged("None"), "algorithm"),
    "HS256 with the public key": (forged("HS256"), "algorithm"),
    "RS256": (forged("RS256"), "algorithm"),
    "ES384": (forged("ES384"), "algorithm"),
    "another key's signature": (other_key, "signature"),
    "another host's": (other_host, "key"),
    "a removed key": (removed_key, "key"),
    "an unknown kid": (headed(kid="ik_" + "a" * 26), "key"),
    "an odd kid": (headed(kid="../../etc/passwd"), "key"),
    "typ JWT": (headed(typ="JWT"), "type"),
    "no typ": (headed(typ=None), "form"),
    "a critical extension": (headed(crit=["exp"], exp=1), "form"),
    "a key of its own": (headed(jwk={"kty": "OKP"}), "form"),
    "an address for keys": (headed(jku="https://evil.example/jwks"), "form"),
    "unencoded payload": (headed(b64=False, crit=["b64"]), "form"),
    "a wrong aud": (changed(aud="https://other.example"), "audience"),
    "several aud": (changed(aud=[AUDIENCE]), "form"),
    "a foreign iss": (changed(iss="int_" + "a" * 26), "issuer"),
    "a foreign sub": (stranger, "subject"),
    "no account": (changed(sub=""), "subject"),
    "another action": (other_action, "action"),
    "a digest in capitals": (lambda h, o, w: h.statement(o, w, action_digest=h.digest(w).upper()), "action"),
    "too old": (at(iat=-61, exp=5), "time"),
    "run out": (at(iat=-30, exp=0), "time"),
    "valid for too long": (at(exp=61), "time"),
    "valid for ever": (changed(exp=2**40), "time"),
    "from a time to come": (at(iat=6, exp=30), "time"),
    "a time beyond all": (changed(iat=2**63), "form"),
    "a password of long ago": (at(password_verified_at=-61), "password_time"),
    "a password of a time to come": (at(password_verified_at=6), "password_time"),
    "a password before the session": (at(authenticated_at=-5, password_verified_at=-6), "password_time"),
    "a short jti": (changed(jti="short"), "form"),
    "a long jti": (changed(jti="x" * 129), "form"),
    "a jti that is a number": (changed(jti=1234567890123456), "form"),
    "a time as text": (changed(iat="1767225600"), "form"),
    "a time as a fraction": (changed(iat=1767225600.5), "form"),
    "a time that is true": (changed(authenticated_at=True), "form"),
    "a claim too many": (changed(admin=True), "form"),
    "a claim twice": (twice, "form"),
    "no number": (lambda h, _o, _w: h.signed(b'{"iat": NaN}'), "form"),
    "a list": (lambda h, _o, _w: h.signed(b"[]"), "form"),
    "no JSON": (lambda h, _o, _w: h.signed(b"\xff\xfe"), "form"),
    "nested without end": (lambda h, _o, _w: h.signed(b"[" * 2500), "form"),
    "a flipped bit": (flipped, "signature"),
    "another payload": (payload_changed, "signature"),
    "four parts": (four_parts, "form"),
    "no payload": (detached, "signature"),
    **{f"no {name}": (without(name), "form") for name in (
        "iss", "sub", "aud", "jti", "iat", "exp", "action_digest", "authenticated_at", "password_verified_at"
    )},
}  # fmt: skip


@pytest.mark.bar("B87")
@pytest.mark.parametrize("case", sorted(BAD))
def test_a_statement_that_does_not_hold_is_refused_and_asks_nobody(host: Host, owner: Owner, case: str) -> None:
    make, fault = BAD[case]
    wanted = host.wanted(owner)
    statement = make(host, owner, wanted)
    refused = host.authorize(wanted, statement)
    if refused.status == 400:
        assert (case, refused.json["field"]) in {("alg none", "$.statement"), ("four parts", "$.statement"),
            ("no payload", "$.statement"), ("alg None", "$.statement")}  # fmt: skip
    else:
        assert (refused.status, refused.problem, refused.json["detail"]) == (403, "statement-refused", fault)
        [event] = told(owner, "action.refused")
        assert (event["reason"], event["statement"]) == ("statement_refused", fault)
    assert rows(owner, "SELECT count(*) FROM challenge WHERE account_id = ?") == [(0,)]
    assert rows(owner, "SELECT count(*) FROM used_statement WHERE account_id = ?") == [(0,)]
    assert not told(owner)


@pytest.mark.bar("B87")
def test_the_times_that_do_hold(host: Host, owner: Owner) -> None:
    """The other side of each limit."""
    for number, times in enumerate(
        (
            {"iat": -59, "exp": 1},
            {"iat": 5, "exp": 65},
            {"password_verified_at": -60},
            {"password_verified_at": 5},
            {"authenticated_at": 0, "password_verified_at": 0},
        )
    ):
        wanted = host.wanted(owner, label=f"bot {number}", scopes="TRADE")
        answer = host.authorize(wanted, at(**times)(host, owner, wanted))
        assert answer.status == 401, (times, answer)
        assert answer.json["challenge"]["given"] == ["password"]
        host.deployment.api.call(
            "DELETE", f"/v1/challenges/{answer.json['challenge']['id']}?account={owner.account_id}", token=host.token
        )


@pytest.mark.bar("B87")
def test_a_session_cannot_bring_one(host: Host, owner: Owner) -> None:
    """It is the host's word, so only the host may say it; a thief's session gets nothing by a stolen one."""
    wanted = host.wanted(owner)
    refused = owner.call("POST", "/v1/authorize", {**wanted, "statement": host.statement(owner, wanted)})
    assert (refused.problem, refused.json["detail"]) == ("statement-refused", "key")
    assert not told(owner)


@pytest.mark.bar("B87")
def test_nothing_outlives_its_integrator(host: Host, owner: Owner) -> None:
    other = Host(host.deployment, host.kind)
    wanted = host.wanted(owner)
    statement = host.statement(owner, wanted)
    host.deployment.now(lambda tx: accounts.revoke_integrator(tx, integrator_id=host.integrator, by="operator:test"))
    assert host.authorize(wanted, statement).status == 401
    assert other.authorize(wanted, statement).json["detail"] == "key"


@pytest.mark.bar("B52")
def test_a_statement_for_a_locked_account_asks_nobody(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    deployment = host.deployment
    deployment.now(lambda tx: accounts.lock(tx, deployment.world, account_id=owner.account_id, by="operator:test"))
    assert host.authorize(wanted, host.statement(owner, wanted)).problem == "account-locked"


# -- the digest --------------------------------------------------------------------------------------------------------
def test_the_documented_form_is_the_one_that_is_shown(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    shown = host.deployment.api.call("POST", "/v1/digests", wanted, token=host.token)
    assert shown.status == 200
    assert shown.json["digest"] == host.digest(wanted)
    assert hashlib.sha256(shown.json["canonical"].encode()).hexdigest() == shown.json["digest"]
    asked = host.authorize(wanted)
    assert asked.status == 401
    assert rows(owner, "SELECT lower(hex(digest)) FROM challenge WHERE account_id = ?") == [(shown.json["digest"],)]


def test_showing_a_digest_keeps_nothing(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    host.deployment.api.call("POST", "/v1/digests", wanted, token=host.token)
    before = host.deployment.digest()
    assert host.deployment.api.call("POST", "/v1/digests", wanted, token=host.token).status == 200
    unknown = {**wanted, "account": "acc_" + "a" * 26}
    host.deployment.api.call("POST", "/v1/digests", unknown, token=host.token)
    assert host.deployment.api.call("POST", "/v1/digests", wanted).status == 401
    assert host.deployment.digest() == before


@pytest.mark.parametrize("quantity", ["1.0", "1", "01", "1e0"])
def test_a_digest_is_of_the_meaning(host: Host, owner: Owner, quantity: str) -> None:
    """What a host cannot know by heart, the one spelling of a number, it is shown."""
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
    wanted = host.wanted(owner, "futures.order.place", **order)
    shown = host.deployment.api.call("POST", "/v1/digests", wanted, token=host.token)
    if quantity == "1e0":
        assert shown.status == 400
        return
    plain = {**wanted, "action": {**wanted["action"], "fields": {**order, "quantity": "1"}}}
    assert shown.json["digest"] == host.digest(plain)


# -- the keys ----------------------------------------------------------------------------------------------------------
def test_a_key_for_nobody_is_none(host: Host) -> None:
    from leverlock.domain.errors import Reason, Refused

    with pytest.raises(Refused) as why:
        twin = Host(host.deployment, host.kind)
        twin.integrator = "int_" + "a" * 26
        twin.add_key(twin.private.public_key())
    assert why.value.reason is Reason.UNKNOWN_ID


@pytest.mark.bar("B87")
@pytest.mark.parametrize(
    "public",
    [
        pem(rsa.generate_private_key(65537, 2048).public_key()),
        pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        pem(ec.generate_private_key(ec.SECP256K1()).public_key()),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "nothing",
        "",
        "\ud800",
    ],
)
def test_only_two_kinds_of_keys_are_taken(public: str) -> None:
    from leverlock.domain.errors import Reason, Refused

    with pytest.raises(Refused) as why:
        integrator_public_key(public)
    assert (why.value.reason, why.value.field) == (Reason.MALFORMED, "public_key")


def test_used_marks_go_when_they_can_serve_nobody(host: Host, owner: Owner) -> None:
    wanted = host.wanted(owner)
    host.authorize(wanted, host.statement(owner, wanted))
    deployment = host.deployment
    deployment.clock.advance(MINUTE + SECOND)
    deployment.now(lambda tx: tx.prune(limit=1000))
    assert rows(owner, "SELECT count(*) FROM used_statement WHERE account_id = ?") == [(1,)]
    deployment.clock.advance(24 * 60 * MINUTE)
    deployment.now(lambda tx: tx.prune(limit=1000))
    assert rows(owner, "SELECT count(*) FROM used_statement WHERE account_id = ?") == [(0,)]
