"""Every number in force, with its unit, its source and the bounds outside which the program does not start.

The defaults and bounds are those of the security bar, part 0. `config.py` reads them; nothing else holds one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from leverlock.domain.totp import Window

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
KIB = 1024
MIB = 1024 * KIB


class LimitsError(ValueError):
    """A number lies outside what its source allows; the message names it, its bounds and the source."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in milliseconds, sizes in bytes, the rest are counts."""

    totp_window: Window = Window.STANDARD
    challenge_life_ms: int = 5 * MINUTE
    grant_life_ms: int = 60 * SECOND
    challenge_wrong_answers: int = 5
    factor_block_after: int = 5
    factor_block_ms: int = 30 * SECOND
    factor_block_max_ms: int = 1 * HOUR
    factor_disable_after: int = 50
    account_wrong_answers: int = 20
    account_window_ms: int = 24 * HOUR
    account_slow_ms: int = 1 * HOUR
    key_live_challenges: int = 3
    key_new_challenges: int = 10
    key_new_window_ms: int = 10 * MINUTE
    environment_live_challenges: int = 8
    environment_slots_for_owner: int = 3
    group_size: int = 5
    pending_enrolment_ms: int = 10 * MINUTE
    password_fresh_ms: int = 5 * MINUTE
    wallet_access_ms: int = 5 * MINUTE
    hold_ms: int = 1 * DAY
    change_wait_ms: int = 1 * DAY
    case_open_ms: int = 14 * DAY
    case_wait_ms: int = 1 * DAY
    case_ready_ms: int = 7 * DAY
    case_link_ms: int = 10 * MINUTE
    case_kept_ms: int = 30 * DAY
    cases_new: int = 3
    cases_new_window_ms: int = 7 * DAY
    case_documents: int = 10
    document_bytes: int = 8 * MIB
    document_pixels: int = 24 * 10**6
    proposal_life_ms: int = 7 * DAY
    policy_wait_ms: int = 1 * DAY
    ceremony_life_ms: int = 2 * MINUTE
    security_key_wait_ms: int = 1 * DAY
    statement_life_ms: int = 60 * SECOND
    leverage_fresh_ms: int = 5 * SECOND
    session_idle_ms: int = 15 * MINUTE
    session_absolute_ms: int = 12 * HOUR
    clock_back_ms: int = 30 * SECOND
    sign_in_tries: int = 10
    sign_in_window_ms: int = 15 * MINUTE
    recovery_codes: int = 10
    recovery_tries: int = 5
    recovery_window_ms: int = 24 * HOUR
    enrolment_right_ms: int = 10 * MINUTE
    reset_link_ms: int = 10 * MINUTE
    reset_mails: int = 5
    reset_mails_window_ms: int = 24 * HOUR
    address_confirm_ms: int = 1 * HOUR
    address_farewell_ms: int = 7 * DAY
    told_before_disabled: int = 5
    told_on_success_after: int = 3
    sms_digits: int = 8
    sms_code_life_ms: int = 5 * MINUTE
    sms_new_number_ms: int = 24 * HOUR
    sms_approvals: int = 3
    sms_approvals_window_ms: int = 24 * HOUR
    sms_resend_ms: int = 30 * SECOND
    sms_window_ms: int = 24 * HOUR
    sms_per_number: int = 10
    sms_per_account: int = 12
    sms_per_source: int = 40
    sms_per_prefix: int = 400
    sms_per_deployment: int = 10_000
    sms_breaker_after: int = 40
    sms_breaker_percent: int = 20
    receive_window_ms: int = 5 * SECOND
    receive_window_max_ms: int = 60 * SECOND
    outage_key_seen_ms: int = 10 * MINUTE
    outage_reads_ms: int = 15 * MINUTE
    snapshot_age_ms: int = 1 * SECOND
    guess_probability_max: float = 1e-3

    def __post_init__(self) -> None:
        for field in fields(self):
            bound = BOUNDS.get(field.name)
            value = getattr(self, field.name)
            if bound is None or isinstance(value, Window):
                continue
            low, high, source = bound
            if not low <= value <= high:
                raise LimitsError(f"{field.name} = {value} is outside {low}..{high} ({source})")
        guess = self.guess_probability
        if guess > self.guess_probability_max:
            raise LimitsError(
                f"a guesser succeeds with probability {guess:.2e} before the factor is disabled, "
                f"above {self.guess_probability_max:.0e} (B78)"
            )
        if self.environment_slots_for_owner >= self.environment_live_challenges:
            raise LimitsError("environment_slots_for_owner must leave slots for API keys")

    @property
    def guess_probability(self) -> float:
        """P(a guesser hits a live code of one factor before that factor is disabled), computed (B78)."""
        totp = len(self.totp_window.steps_at(1)) / 10**6
        sms = 1 / 10**self.sms_digits
        return 1 - (1 - max(totp, sms)) ** self.factor_disable_after  # type: ignore[no-any-return]


# name: (lowest, highest, source)
BOUNDS: dict[str, tuple[float, float, str]] = {
    "challenge_life_ms": (30 * SECOND, 5 * MINUTE, "RTS 4(3)(d), OWASP TA 2.9"),
    "grant_life_ms": (5 * SECOND, 60 * SECOND, "B44"),
    "challenge_wrong_answers": (1, 5, "B48, RTS 4(3)(b)"),
    "factor_block_after": (1, 5, "RTS 4(3)(b)"),
    "factor_block_ms": (30 * SECOND, 1 * HOUR, "B75"),
    "factor_block_max_ms": (1 * MINUTE, 24 * HOUR, "B75"),
    "factor_disable_after": (5, 100, "NIST SP 800-63B-4 section 3.2.2"),
    "account_wrong_answers": (5, 100, "RFC 4226 section 7.3"),
    "account_window_ms": (1 * HOUR, 7 * DAY, "RFC 4226 section 7.3"),
    "account_slow_ms": (1 * MINUTE, 24 * HOUR, "RFC 4226 section 7.3"),
    "key_live_challenges": (1, 8, "ASVS 2.4.1"),
    "key_new_challenges": (1, 60, "ASVS 2.4.1"),
    "key_new_window_ms": (1 * MINUTE, 1 * HOUR, "ASVS 2.4.1"),
    "environment_live_challenges": (4, 32, "ASVS 6.6.4"),
    "environment_slots_for_owner": (1, 16, "B81"),
    "group_size": (1, 5, "semantics 12"),
    "pending_enrolment_ms": (1 * MINUTE, 10 * MINUTE, "B10"),
    "password_fresh_ms": (30 * SECOND, 5 * MINUTE, "RTS 4(3)(d)"),
    "wallet_access_ms": (30 * SECOND, 5 * MINUTE, "RTS 4(3)(d)"),
    "hold_ms": (1 * DAY, 7 * DAY, "B34"),
    "change_wait_ms": (1 * DAY, 7 * DAY, "semantics 3"),
    "case_open_ms": (1 * DAY, 90 * DAY, "B37"),
    "case_wait_ms": (1 * DAY, 14 * DAY, "B37: 24 h"),
    "case_ready_ms": (1 * HOUR, 30 * DAY, "B37"),
    "case_link_ms": (1 * MINUTE, 10 * MINUTE, "NIST SP 800-63B-4 section 4.1.2.2"),
    "case_kept_ms": (0, 365 * DAY, "B38, ASVS 14.2.7"),
    "cases_new": (1, 10, "ASVS 2.4.1"),
    "cases_new_window_ms": (1 * DAY, 30 * DAY, "ASVS 2.4.1"),
    "case_documents": (2, 20, "ASVS 5.2.1"),
    "document_bytes": (64 * KIB, 16 * MIB, "ASVS 5.2.1"),
    "document_pixels": (10**6, 50 * 10**6, "ASVS 5.2.6"),
    "proposal_life_ms": (1 * HOUR, 30 * DAY, "semantics 9"),
    "policy_wait_ms": (1 * DAY, 14 * DAY, "semantics 9: 24 h"),
    "ceremony_life_ms": (30 * SECOND, 5 * MINUTE, "NIST SP 800-63B-4 section 3.1.6.2"),
    "security_key_wait_ms": (1 * DAY, 7 * DAY, "semantics 3"),
    "statement_life_ms": (5 * SECOND, 60 * SECOND, "semantics 14"),
    "leverage_fresh_ms": (500, 5 * SECOND, "semantics 2"),
    "session_idle_ms": (1 * MINUTE, 1 * HOUR, "NIST SP 800-63B-4 section 2.2.3"),
    "session_absolute_ms": (5 * MINUTE, 24 * HOUR, "NIST SP 800-63B-4 section 2.2.3"),
    "clock_back_ms": (0, 30 * SECOND, "B11: one step"),
    "sign_in_tries": (3, 100, "ASVS 6.3.1"),
    "sign_in_window_ms": (1 * MINUTE, 24 * HOUR, "ASVS 6.3.1"),
    "recovery_codes": (8, 16, "NIST SP 800-63B-4 section 4.2.1.1"),
    "recovery_tries": (1, 10, "B33"),
    "recovery_window_ms": (1 * HOUR, 7 * DAY, "B33"),
    "enrolment_right_ms": (1 * MINUTE, 10 * MINUTE, "NIST SP 800-63B-4 section 4.1.2.2"),
    "reset_link_ms": (1 * MINUTE, 10 * MINUTE, "NIST SP 800-63B-4 section 4.1.2.2"),
    "reset_mails": (1, 20, "ASVS 2.4.1"),
    "reset_mails_window_ms": (1 * HOUR, 7 * DAY, "ASVS 2.4.1"),
    "address_confirm_ms": (1 * MINUTE, 24 * HOUR, "NIST SP 800-63B-4 section 4.2.1.2: by mail, at most 24 h"),
    "address_farewell_ms": (7 * DAY, 30 * DAY, "semantics 3"),
    "told_before_disabled": (1, 20, "B80, RTS 4(4)"),
    "told_on_success_after": (1, 5, "B80"),
    "sms_digits": (6, 8, "NIST SP 800-63B-4 section 3.1.3.2"),
    "sms_code_life_ms": (1 * MINUTE, 10 * MINUTE, "NIST SP 800-63B-4 section 3.1.3.2"),
    "sms_new_number_ms": (24 * HOUR, 30 * DAY, "NIST SP 800-63B-4 section 3.1.3.3"),
    "sms_approvals": (1, 3, "semantics 3"),
    "sms_approvals_window_ms": (24 * HOUR, 30 * DAY, "semantics 3"),
    "sms_resend_ms": (1 * SECOND, 1 * HOUR, "B18"),
    "sms_window_ms": (1 * HOUR, 30 * DAY, "B18: of the caps below"),
    "sms_per_number": (1, 100, "B18, ASVS 2.4.1"),
    "sms_per_account": (1, 100, "B18, ASVS 2.4.1"),
    "sms_per_source": (1, 10_000, "B18, ASVS 2.4.1"),
    "sms_per_prefix": (1, 100_000, "B18"),
    "sms_per_deployment": (1, 1_000_000, "B18"),
    "sms_breaker_after": (5, 100_000, "B18: SMS to a prefix before its ratio is looked at"),
    "sms_breaker_percent": (0, 100, "B18: verified of sent, below which a prefix is closed"),
    "receive_window_ms": (1, 60 * SECOND, "Binance documentation"),
    "receive_window_max_ms": (1, 60 * SECOND, "Binance documentation"),
    "outage_key_seen_ms": (0, 10 * MINUTE, "B98"),
    "outage_reads_ms": (0, 15 * MINUTE, "B98"),
    "snapshot_age_ms": (50, 1 * SECOND, "B88"),
    "guess_probability_max": (0.0, 1e-3, "B78"),
}
