"""Proofs: what one may hold, whether it fits what is demanded, and one check for each kind.

Nothing here is read-only: a check that accepts a code burns its step. What a check finds goes into the record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from leverlock.app.alarms import seal_broken
from leverlock.app.ceremonies import Asking, verify_assertion
from leverlock.app.sms_proof import accept_code, usable_number
from leverlock.app.warnings import tell_of_success, told_of_codes, told_of_passwords
from leverlock.domain.account import Account
from leverlock.domain.authenticator import Authenticator
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.requirement import Backup, ProofKind, Requirement
from leverlock.domain.totp import NoMatch, StepUsed
from leverlock.ports import Charge, PasswordFinding, SealBroken, Transaction, World
from leverlock.ports_security_keys import Assertion


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody sent as proof, still untrusted. `password` was hashed before the transaction."""

    code: str | None = None
    password: PasswordFinding | None = None
    sms_code: str | None = None
    assertion: Assertion | None = None

    @property
    def parts(self) -> frozenset[str]:
        """The names of the parts that were sent."""
        named = ("code", "password", "sms_code", "assertion")
        return frozenset(name for name in named if getattr(self, name) is not None)


# The part of an answer that holds each kind of proof.
PART_OF: Final[dict[ProofKind, str]] = {
    ProofKind.TOTP: "code",
    ProofKind.WALLET: "code",
    ProofKind.PASSWORD: "password",
    ProofKind.SECURITY_KEY: "assertion",
}


@dataclass(frozen=True, slots=True)
class Checking:
    """One proof against one demand. `authenticator`: the environment's own, None where it has none.

    `backup`: what stands in for the code; then the authenticator is the backup's, and `subject` the one challenge.
    `asking`: the ceremony that was taken for this answer, and the keys that may give it.
    """

    account: Account
    environment: Environment
    authenticator: Authenticator | None
    proof: Proof
    backup: Backup | None = None
    subject: str = ""
    asking: Asking | None = None


Check = Callable[[Transaction, World, Checking], dict[str, Any]]


def must_fit(demand: Requirement, proof: Proof) -> None:
    """Nobody chooses what he proves himself with (B20). Raises Refused: PROOF_MISSING, PROOF_NOT_ACCEPTED."""
    wanted = {PART_OF[kind] for kind in demand.proofs if kind in PART_OF}
    if len(wanted) < len({PART_OF.get(kind, kind) for kind in demand.proofs}):
        raise Refused(Reason.PROOF_NOT_ACCEPTED, "nothing that can be sent here proves this")
    if standing_in(demand, proof) is Backup.SMS:
        wanted = (wanted - {"code"}) | {"sms_code"}
    foreign = proof.parts - wanted
    if foreign:
        raise Refused(Reason.PROOF_NOT_ACCEPTED, f"not asked for: {', '.join(sorted(foreign))}", field=min(foreign))
    missing = wanted - proof.parts
    if missing:
        raise Refused(Reason.PROOF_MISSING, f"also needed: {', '.join(sorted(missing))}", field=min(missing))


def standing_in(demand: Requirement, proof: Proof) -> Backup | None:
    """What was sent in place of the live code, where the demand lets it stand in."""
    asked = proof.sms_code is not None and proof.code is None
    return Backup.SMS if asked and Backup.SMS in demand.backups and ProofKind.TOTP in demand.proofs else None


def factor_of(
    tx: Transaction,
    world: World,
    account_id: str,
    environment: Environment,
    demand: Requirement,
    *,
    backup: Backup | None = None,
) -> Authenticator | None:
    """The authenticator whose budget this answer is charged to. Raises Refused where a backup does not serve now."""
    if backup is Backup.SMS:
        return usable_number(tx, world, account_id, environment)
    if demand.proofs & {ProofKind.TOTP, ProofKind.WALLET}:
        return tx.bound_authenticator(account_id, environment)
    return None


def check(tx: Transaction, world: World, demand: Requirement, checking: Checking) -> dict[str, Any]:
    """Check every demanded proof. What was found, for the record. Raises Refused: WRONG_CODE, CODE_ALREADY_USED."""
    found: dict[str, Any] = {}
    for kind, prove_kind in CHECKS.items():
        if kind in demand.proofs:
            stood_in = checking.backup is not None and kind is ProofKind.TOTP
            found.update((_sms_code if stood_in else prove_kind)(tx, world, checking))
    return found


def _code(tx: Transaction, world: World, checking: Checking) -> dict[str, Any]:
    authenticator, code = checking.authenticator, checking.proof.code
    step = verify_code(tx, world, authenticator, code or "")
    assert authenticator is not None
    if not tx.advance_totp_step(authenticator.account_id, authenticator.authenticator_id, step=step):
        raise Refused(Reason.CODE_ALREADY_USED)
    return {"authenticator": authenticator.authenticator_id, "step": step}


def _sms_code(tx: Transaction, world: World, checking: Checking) -> dict[str, Any]:
    assert checking.authenticator is not None
    code = checking.proof.sms_code or ""
    return accept_code(tx, world, challenge_id=checking.subject, authenticator=checking.authenticator, code=code)


def _password(_tx: Transaction, _world: World, checking: Checking) -> dict[str, Any]:
    verify_password(checking.account, checking.proof.password)
    return {}


def _assertion(tx: Transaction, world: World, checking: Checking) -> dict[str, Any]:
    asking, assertion = checking.asking, checking.proof.assertion
    if asking is None or assertion is None:
        raise Refused(Reason.WRONG_CODE)
    return verify_assertion(tx, world, ceremony=asking.ceremony, keys=asking.keys, assertion=assertion)


CHECKS: Final[dict[ProofKind, Check]] = {
    ProofKind.WALLET: _code,
    ProofKind.TOTP: _code,
    ProofKind.PASSWORD: _password,
    ProofKind.SECURITY_KEY: _assertion,
}


def charge_answer(
    tx: Transaction,
    world: World,
    account: Account,
    authenticator: Authenticator | None,
    challenge_ids: tuple[str, ...] = (),
    *,
    recovering: bool = False,
) -> Charge:
    """Count one wrong answer, of the account and of the factor, before anything is compared (B74, B77).

    `recovering`: of the factor alone, which is being bound after a recovery and whose secret this very caller was
    shown: the account's budget, perhaps spent by somebody else, must not keep the owner from coming back (B79).

    Where the environment has no authenticator the account alone is charged, so that the answer is the same.
    A locked account is refused before anything is evaluated.
    """
    account.must_be_active()
    spent = None if recovering else account.budget.charged(tx.now, world.limits)
    if authenticator is None:
        told = told_of_passwords(tx, world, account, spent)
        charge = Charge(spent, challenge_ids=challenge_ids, told=told)
    else:
        before = authenticator.budget
        after = before.charged(tx.now, world.limits)
        told = told_of_codes(tx, world, authenticator, after)
        charge = Charge(spent, authenticator.authenticator_id, before, after, challenge_ids, told=told)
    tx.charge(charge)
    return charge


def answered_right(tx: Transaction, world: World, charge: Charge, account: Account) -> None:
    """The answer was right: its charge is taken back, and the owner is told where several wrong ones came before."""
    tx.take_back(charge, account=account.budget)
    tell_of_success(tx, world, account, charge)


def verify_code(tx: Transaction, world: World, authenticator: Authenticator | None, code: str) -> int:
    """The step this code proves. *Wrong*, *other environment* and *no such factor* are one answer (B62)."""
    if authenticator is None:
        raise Refused(Reason.WRONG_CODE)
    try:
        return world.totp.verify(authenticator, code, now_ms=tx.now).step
    except StepUsed:
        raise Refused(Reason.CODE_ALREADY_USED, "wait for the next code") from None
    except SealBroken:
        seal_broken(tx, world, authenticator.stored, by="verifier:totp")
        raise Refused(Reason.WRONG_CODE) from None
    except NoMatch:
        raise Refused(Reason.WRONG_CODE) from None


def verify_password(account: Account, finding: PasswordFinding | None) -> None:
    """The master password was typed, matches, and was checked against the hash that is still stored."""
    if finding is None or not finding.matched:
        raise Refused(Reason.WRONG_CODE)
    if finding.account_id != account.account_id or finding.checked_hash != account.password_hash:
        raise Refused(Reason.WRONG_CODE)
