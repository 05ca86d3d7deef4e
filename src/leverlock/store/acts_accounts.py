"""Acts on accounts, sessions, protection and authenticators."""

from __future__ import annotations

from leverlock.domain.account import Account, Session
from leverlock.domain.attempts import AccountBudget
from leverlock.domain.audit import GENESIS
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind
from leverlock.domain.environment import Environment
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class AccountActs(UnitOfWork):
    """Who there is, who is signed in, and what protects them."""

    def insert_account(self, *, account_id: str, login: str, password_hash: str) -> bool:
        if self._cursor.write("claim_login", {"login": login, "account_id": account_id}) != 1:
            return False
        self._cursor.write(
            "insert_account",
            {
                "account_id": account_id,
                "login": login,
                "password_hash": password_hash,
                "now": self.now,
                "wrong_at": AccountBudget().to_bytes(),
                "chain_head": GENESIS,
            },
        )
        return True

    def account_of_login(self, login: str) -> str | None:
        row = self._cursor.one("account_of_login", {"login": login})
        return None if row is None else str(row[0])

    def account(self, account_id: str) -> Account | None:
        if self._account is not None and self._account.account_id == account_id:
            return self._account
        row = self._cursor.one("account", {"account_id": account_id})
        return None if row is None else rows.account(row)

    def accounts(self, *, after: str, limit: int) -> list[Account]:
        return [rows.account(row) for row in self._cursor.all("accounts", {"after": after, "limit": limit})]

    def set_password_hash(self, account_id: str, *, before: str, after: str) -> bool:
        parameters = {"account_id": account_id, "before": before, "after": after}
        return self._cursor.write("set_password_hash", parameters) == 1

    def set_account_state(self, account_id: str, state: str) -> bool:
        return self._cursor.write("set_account_state", {"account_id": account_id, "state": state}) == 1

    # -- sessions ----------------------------------------------------------------------------------------------------
    def draw_in_sign_in_tries(self, *, now_ms: int) -> None:
        self._cursor.write("draw_in_sign_in_tries", {"now": now_ms})

    def insert_session(self, session: Session) -> None:
        self._cursor.write(
            "insert_session",
            {
                "account_id": session.account_id,
                "session_id": session.session_id,
                "state": session.state.value,
                "created_at": session.created_at,
                "last_seen_at": session.last_seen_at,
                "password_at": session.password_at,
                "by_mail": int(session.by_mail),
            },
        )

    def session(self, account_id: str, session_id: str) -> Session | None:
        row = self._cursor.one("session", {"account_id": account_id, "session_id": session_id})
        return None if row is None else rows.session(row)

    def touch_session(self, session: Session) -> None:
        self._session_write("touch_session", session.account_id, session.session_id)

    def complete_session(self, account_id: str, session_id: str) -> bool:
        return self._session_write("complete_session", account_id, session_id)

    def begin_recovery(self, account_id: str, session_id: str) -> bool:
        return self._session_write("begin_recovery", account_id, session_id)

    def confirm_password(self, account_id: str, session_id: str) -> bool:
        return self._session_write("confirm_password", account_id, session_id)

    def end_session(self, account_id: str, session_id: str) -> bool:
        return self._session_write("end_session", account_id, session_id)

    def end_other_sessions(self, account_id: str, *, keep: str) -> list[str]:
        return [str(row[0]) for row in self._cursor.all("end_other_sessions", {"account_id": account_id, "keep": keep})]

    def _session_write(self, name: str, account_id: str, session_id: str) -> bool:
        parameters = {"account_id": account_id, "session_id": session_id, "now": self.now}
        return self._cursor.write(name, parameters) == 1

    # -- protection and authenticators -------------------------------------------------------------------------------
    def protections(self, account_id: str) -> dict[Environment, int]:
        found = self._cursor.all("protections", {"account_id": account_id})
        return {Environment(environment): enabled_at for environment, enabled_at in found}

    def protection_known(self, account_id: str, environment: Environment) -> bool:
        parameters = {"account_id": account_id, "environment": environment.value}
        return self._cursor.one("protection_known", parameters) is not None

    def end_protection(self, account_id: str, environment: Environment) -> bool:
        parameters = {"account_id": account_id, "environment": environment.value, "now": self.now}
        return self._cursor.write("end_protection", parameters) == 1

    def enable_protection(self, account_id: str, environment: Environment) -> bool:
        parameters = {"account_id": account_id, "environment": environment.value, "now": self.now}
        return self._cursor.write("enable_protection", parameters) == 1

    def authenticators(self, account_id: str) -> list[Authenticator]:
        return [rows.authenticator(row) for row in self._cursor.all("authenticators", {"account_id": account_id})]

    def authenticator(self, account_id: str, authenticator_id: str) -> Authenticator | None:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id}
        row = self._cursor.one("authenticator", parameters)
        return None if row is None else rows.authenticator(row)

    def bound_authenticator(
        self, account_id: str, environment: Environment, *, kind: AuthenticatorKind = AuthenticatorKind.TOTP
    ) -> Authenticator | None:
        parameters = {"account_id": account_id, "environment": environment.value, "kind": kind.value}
        row = self._cursor.one("bound_authenticator", parameters)
        return None if row is None else rows.authenticator(row)

    def next_generation(self, account_id: str, environment: Environment) -> int:
        row = self._cursor.one("next_generation", {"account_id": account_id, "environment": environment.value})
        assert row is not None
        return int(row[0])

    def insert_authenticator(self, authenticator: Authenticator) -> None:
        self._cursor.write(
            "insert_authenticator",
            {
                "account_id": authenticator.account_id,
                "authenticator_id": authenticator.authenticator_id,
                "environment": authenticator.environment.value,
                "kind": authenticator.kind.value,
                "state": authenticator.state.value,
                "generation": authenticator.generation,
                "key_version": authenticator.secret.key_version,
                "nonce": authenticator.secret.nonce,
                "ciphertext": authenticator.secret.ciphertext,
                "created_at": authenticator.created_at,
                "expires_at": authenticator.expires_at,
                "session_id": authenticator.session_id,
                "last_step": authenticator.last_step,
                "streak": authenticator.budget.streak,
                "blocked_until": authenticator.budget.blocked_until_ms,
            },
        )

    def drop_pending_enrolments(
        self, account_id: str, environment: Environment, *, kind: AuthenticatorKind = AuthenticatorKind.TOTP
    ) -> list[str]:
        parameters = {"account_id": account_id, "environment": environment.value, "kind": kind.value}
        return [str(row[0]) for row in self._cursor.all("drop_pending_enrolments", parameters)]

    def fence_authenticators(self, account_id: str, *, step: int, blocked_until_max: int) -> list[tuple[str, int, int]]:
        parameters = {"account_id": account_id, "step": step, "blocked_until_max": blocked_until_max}
        return [(row[0], row[1], row[2]) for row in self._cursor.all("fence_authenticators", parameters)]

    def retire_authenticator(self, account_id: str, authenticator_id: str) -> bool:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id}
        return self._cursor.write("retire_authenticator", parameters) == 1

    def remove_authenticator(self, account_id: str, authenticator_id: str) -> bool:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id}
        return self._cursor.write("remove_authenticator", parameters) == 1

    def activate_authenticator(self, account_id: str, authenticator_id: str, *, step: int) -> bool:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id, "step": step}
        return self._cursor.write("activate_authenticator", parameters) == 1

    def advance_totp_step(self, account_id: str, authenticator_id: str, *, step: int) -> bool:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id, "step": step}
        return self._cursor.write("advance_totp_step", parameters) == 1
