"""The desk: who may do what there, and that nobody at it ever sees a secret (B36, B61)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from api.test_security_keys import added, key_sign_in
from api_deployment import PASSWORD, Deployment, Owner, Reply
from leverlock.api.desk_table import DESK
from leverlock.api.endpoint import Endpoint
from leverlock.domain.ids import make_id
from leverlock.domain.roles import PERMISSIONS, Permission, Role, may
from operators import (
    at_desk,
    client,
    messages,
    opened,
    operator,
    picture,
    signed_in,
    state,
    submitted,
    sweep,
    upload,
    with_login_factor,
)
from software_key import SoftwareKey

ROW = {f"{row.method} {row.path}": row for row in DESK}
BODIES: dict[str, Any] = {
    "ReasonForm": {"reason": "seen"},
    "CaseForm": {"environments": ["futures"], "statement": "lost"},
    "RoleForm": {"role": "support"},
    "PolicyForm": {"text": "nonsense"},
}
QUERIES = {"LoginQuery": "?login=nobody", "DocumentQuery": "?kind=identity"}


@pytest.fixture(scope="module")
def people(deployment: Deployment) -> dict[str, Owner]:
    made = {role.value: operator(deployment, role) for role in Role}
    return {**made, "nobody": with_login_factor(deployment.owner())}


@pytest.fixture
def staff(people: dict[str, Owner]) -> dict[str, Owner]:
    """One of each role, and somebody who has none; signed in just now, because the other tests move the clock."""
    return {role: signed_in(person) for role, person in people.items()}


def asked(person: Owner, row: Endpoint, *, subject: str, **ids: str) -> Reply:
    """The row's call, well-formed, about this account."""
    given = {
        "account": subject,
        "subject": subject,
        "case": make_id("case", bytes(16)),
        "document": make_id("doc", bytes(16)),
        "proposal": make_id("prop", bytes(16)),
        **ids,
    }
    path = row.path.format(**given) + QUERIES.get(row.query.__name__, "")
    if row.takes:
        return person.call(row.method, path, raw=picture(), headers=[("Content-Type", "image/jpeg")])
    return person.call(row.method, path, None if row.body is None else BODIES[row.body.__name__])


def test_the_table_of_roles_is_whole() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert frozenset().union(*PERMISSIONS.values()) == frozenset(Permission)
    assert {row.permission for row in DESK} == frozenset(Permission)
    assert all(not may(None, permission) for permission in Permission)
    # Who decides about operators has no part in cases, and the other way round: no one person can do both.
    for role in Role:
        assert not (may(role, Permission.DECIDE_CASE) and may(role, Permission.CHANGE_OPERATORS))


@pytest.mark.bar("B36")
@pytest.mark.bar("B61")
@pytest.mark.parametrize("row", ROW)
def test_a_call_opens_to_the_roles_that_permit_it_and_to_no_other(
    deployment: Deployment, staff: dict[str, Owner], row: str
) -> None:
    subject = client(deployment).account_id
    for role, person in staff.items():
        before = deployment.digest()
        answer = asked(person, ROW[row], subject=subject)
        wanted = ROW[row].permission
        assert wanted is not None
        if role != "nobody" and may(Role(role), wanted):
            assert answer.status < 500, (role, answer)
            assert b"not-permitted" not in answer.body, (role, answer)
        else:
            assert answer.problem == "not-permitted", (role, answer)
            assert deployment.digest() == before


@pytest.mark.bar("B36")
@pytest.mark.bar("B61")
@pytest.mark.parametrize("row", ROW)
def test_no_role_serves_without_a_login_challenge_that_was_passed(deployment: Deployment, row: str) -> None:
    """A password alone opens nothing at the desk, whatever the role."""
    subject = client(deployment).account_id
    for role in Role:
        if not may(role, ROW[row].permission):  # type: ignore[arg-type]
            continue
        unbound = operator(deployment, role, login_factor=False)
        refused = asked(unbound, ROW[row], subject=subject)
        assert (refused.problem, refused.json["environment"]) == ("enrolment-required", "login")
        half = with_login_factor(unbound).sign_in()
        assert asked(half, ROW[row], subject=subject).problem == "login-challenge-open"
        unsigned = Owner(deployment, half.account_id, half.login, token="x" * 40)
        assert asked(unsigned, ROW[row], subject=subject).problem == "not-authenticated"


def test_a_role_that_was_taken_away_opens_nothing_from_that_commit_on(deployment: Deployment) -> None:
    person = operator(deployment, Role.SUPPORT)
    assert person.call("GET", "/v1/operator").json["role"] == "support"
    deployment.now(lambda tx: tx.set_role(person.account_id, before=Role.SUPPORT, after=None))
    assert person.call("GET", "/v1/operator").problem == "not-permitted"


def test_a_disabled_login_authenticator_closes_the_desk(deployment: Deployment) -> None:
    person = operator(deployment, Role.SUPPORT)
    with deployment_sql(deployment) as raw:
        raw.execute(
            "UPDATE authenticator SET state = 'disabled' WHERE account_id = ? AND environment = 'login'",
            (person.account_id,),
        )
    assert person.call("GET", "/v1/operator").problem == "enrolment-required"


@pytest.mark.bar("B61")
def test_a_security_key_is_a_login_challenge_as_well(deployment: Deployment) -> None:
    person = operator(deployment, Role.SUPPORT, login_factor=False)
    assert person.call("GET", "/v1/operator").problem == "enrolment-required"
    key = SoftwareKey()
    added(person, key)
    half = person.again()
    assert half.call("GET", "/v1/operator").problem == "login-challenge-open"
    assert key_sign_in(person, key).call("GET", "/v1/operator").json["role"] == "support"


def deployment_sql(deployment: Deployment) -> Any:
    import sqlite3

    return sqlite3.connect(deployment.path, timeout=10)


# -- subject, opener, first, other (B36) -----------------------------------------------------------------------------
DECISIONS = ("approval", "refusal", "link")


@pytest.mark.bar("B36")
def test_an_agent_never_handles_his_own_case(deployment: Deployment) -> None:
    """The case of somebody who is an agent himself: closed to him at the desk, whatever he calls."""
    me = operator(deployment, Role.SECURITY)
    other = operator(deployment, Role.SUPPORT)
    deployment.now(_with_address(deployment, me))
    case = submitted(me)
    path = at_desk(me, case)
    before = deployment.digest()
    document = me.call("GET", f"/v1/recovery-cases/{case}").json["documents"][0]["id"]
    calls: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("POST", path + "/approval", None),
        ("POST", path + "/refusal", {"reason": "no"}),
        ("POST", path + "/link", None),
        ("POST", path + "/submission", None),
        ("POST", f"{path}/documents/{document}/view", {"reason": "mine"}),
        ("POST", f"/v1/operator/accounts/{me.account_id}/lock", {"reason": "x"}),
        ("POST", f"/v1/operator/accounts/{me.account_id}/unlock", {"reason": "x"}),
        ("POST", f"/v1/operator/accounts/{me.account_id}/cases", BODIES["CaseForm"]),
    ]
    for method, called, body in calls:
        assert me.call(method, called, body).problem == "not-permitted", called
    assert upload(me, path, picture()).problem == "not-permitted"
    assert me.call("GET", "/v1/operator/cases?state=submitted").json["cases"] == []
    assert deployment.digest() == before
    assert other.call("GET", path).json["id"] == case


def _with_address(deployment: Deployment, person: Owner) -> Any:
    from leverlock.app.accounts import set_address
    from leverlock.domain.messages import Channel

    return lambda tx: set_address(
        tx, deployment.world, account_id=person.account_id, channel=Channel.EMAIL, target="a@example.com", by="test:"
    )


@pytest.mark.bar("B36")
def test_two_different_agents_approve_and_the_opener_is_neither(deployment: Deployment) -> None:
    opener, first, second = (operator(deployment, Role.SUPPORT) for _ in range(3))
    owner = client(deployment)
    body = {"environments": ["futures"], "statement": "He called; he cannot sign in."}
    made = opener.call("POST", f"/v1/operator/accounts/{owner.account_id}/cases", body)
    case, path = made.json["id"], at_desk(owner, made.json["id"])
    # Only its opener brings the documents of a case that he opened for somebody.
    assert upload(first, path, picture()).problem == "not-permitted"
    assert first.call("POST", path + "/submission").problem == "not-permitted"
    assert opener.call("POST", path + "/submission").problem == "documents-missing"
    for kind in ("identity", "ownership"):
        assert upload(opener, path, picture(), kind=kind).status == 201
    assert opener.call("POST", path + "/submission").json["state"] == "submitted"

    assert opener.call("POST", path + "/approval").problem == "not-permitted"
    assert first.call("POST", path + "/approval").json["state"] == "approved_once"
    assert opener.call("POST", path + "/approval").problem == "not-permitted"
    assert first.call("POST", path + "/approval").problem == "not-permitted"
    assert state(owner, case) == "approved_once"
    assert second.call("POST", path + "/approval").json["state"] == "waiting"
    told = [record["principal"] for record in owner.events() if record["kind"] == "recovery_case.approved"]
    assert told == [f"operator:{first.account_id}", f"operator:{second.account_id}"]


# -- what the desk sees ----------------------------------------------------------------------------------------------
def _calls(owner: Owner, case: str, document: str) -> Iterator[tuple[str, str, Any]]:
    path, account = at_desk(owner, case), f"/v1/operator/accounts/{owner.account_id}"
    yield "GET", "/v1/operator", None
    yield "GET", f"/v1/operator/accounts?login={owner.login}", None
    yield "GET", "/v1/operator/cases?state=submitted", None
    yield "GET", path, None
    yield "POST", f"{path}/documents/{document}/view", {"reason": "identity"}
    yield "POST", path + "/approval", None
    yield "GET", "/v1/operator/operators", None
    yield "GET", "/v1/operator/policy", None
    yield "GET", "/v1/operator/proposals", None
    yield "POST", account + "/role", {"role": "support"}


@pytest.mark.bar("B36")
def test_no_answer_at_the_desk_holds_a_secret(deployment: Deployment, staff: dict[str, Owner]) -> None:
    """Every secret there is of an account that has all of them, looked for in every answer of every operator's call."""
    owner = client(deployment, futures=False)
    codes = owner.enable("futures")["recovery_codes"]
    case = submitted(owner)
    document = owner.call("GET", f"/v1/recovery-cases/{case}").json["documents"][0]["id"]
    key_id = deployment.key(owner.account_id)
    second = operator(deployment, Role.SUPPORT)
    answers: list[bytes] = []

    def ask(method: str, path: str, body: Any, *people: Owner) -> None:
        for person in people:
            answers.append(person.call(method, path, body).body)

    everybody = [*(staff[role.value] for role in Role), second]
    for method, path, body in _calls(owner, case, document):
        ask(method, path, body, *everybody)
    assert state(owner, case) == "waiting"
    deployment.clock.advance(86_400_000)
    sweep(deployment)
    everybody = [signed_in(person) for person in everybody]
    ask("POST", at_desk(owner, case) + "/link", None, *everybody)
    ask("GET", at_desk(owner, case), None, *everybody)
    for tail in ("lock", "unlock"):
        ask("POST", f"/v1/operator/accounts/{owner.account_id}/{tail}", {"reason": "x"}, *everybody)

    links = [message["link"] for message in messages(deployment, owner.account_id, "recovery_case.link")]
    stops = [message["cancel"] for message in messages(deployment, owner.account_id) if "cancel" in message]
    assert links
    assert stops
    stored = itertools.chain.from_iterable(
        itertools.chain.from_iterable(deployment.rows(sql, (owner.account_id,)))
        for sql in (
            "SELECT ciphertext, nonce FROM authenticator WHERE account_id = ?",
            "SELECT ciphertext, nonce FROM recovery_case WHERE account_id = ?",
            "SELECT ciphertext FROM api_key WHERE account_id = ?",
            "SELECT password_hash FROM account WHERE account_id = ?",
            "SELECT link_hash FROM recovery_case WHERE account_id = ?",
            "SELECT code_hash FROM recovery_code WHERE account_id = ?",
            "SELECT target FROM address WHERE account_id = ?",
        )
    )
    secrets: list[bytes] = [
        *(value if isinstance(value, bytes) else str(value).encode() for value in stored if value is not None),
        *(text.encode() for text in (*codes, *links, *stops, PASSWORD, owner.token)),
        *(seed for seed in owner.seeds.values()),
    ]
    assert len(secrets) > 20
    seen = b"\n".join(answers)
    assert key_id.encode() not in seen
    for secret in secrets:
        for form in (secret, secret.hex().encode()):
            assert form not in seen, form


def test_a_lock_at_the_desk_stops_the_account_and_says_why(deployment: Deployment, staff: dict[str, Owner]) -> None:
    owner = client(deployment)
    account = f"/v1/operator/accounts/{owner.account_id}"
    assert staff["support"].call("POST", account + "/lock", {"reason": "called from his number"}).status == 200
    assert owner.call("GET", "/v1/sessions/current").problem == "not-authenticated"
    assert staff["support"].call("POST", account + "/lock", {"reason": "again"}).problem == "conflict"
    assert staff["support"].call("POST", account + "/unlock", {"reason": "x"}).problem == "not-permitted"
    assert staff["security"].call("POST", account + "/unlock", {"reason": "spoke to him"}).json["state"] == "active"
    told = [
        (e["principal"], e["details"]) for e in owner.events() if e["kind"] in ("account.locked", "account.unlocked")
    ]
    assert told == [
        (f"operator:{staff['support'].account_id}", {"reason": "called from his number"}),
        (f"operator:{staff['security'].account_id}", {"reason": "spoke to him"}),
    ]
    assert {"account.locked", "account.unlocked"} <= {one["type"] for one in messages(deployment, owner.account_id)}


def test_an_account_is_found_by_its_login_in_any_spelling(deployment: Deployment, staff: dict[str, Owner]) -> None:
    owner = client(deployment)
    found = staff["admin"].call("GET", f"/v1/operator/accounts?login={owner.login.upper()}").json
    assert found == {"account": owner.account_id, "login": owner.login, "state": "active", "protected": ["futures"]}
    assert staff["admin"].call("GET", "/v1/operator/accounts?login=nobody-of-that-name").problem == "unknown-id"
    assert staff["admin"].call("GET", "/v1/operator/accounts?login=a%20b").problem == "malformed"
    assert staff["admin"].call("GET", "/v1/operator/accounts").problem == "malformed"


@pytest.mark.bar("B36")
def test_ids_of_another_account_are_as_unknown_as_those_that_never_were(
    deployment: Deployment, staff: dict[str, Owner]
) -> None:
    mine, other = client(deployment), client(deployment)
    case = opened(mine)
    made_up = make_id("case", bytes(16))
    paths = [at_desk(other, case), at_desk(mine, made_up), f"/v1/operator/accounts/{'acc_' + 'a' * 26}/cases/{case}"]
    answers = {staff["support"].call("GET", path).body for path in paths}
    assert len(answers) == 1
    assert b"unknown-id" in answers.pop()
