"""Making and changing an API key: whose factor speaks for it, and what no policy can lower (M18, B63)."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from leverlock.domain.action import parse
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.hold import HoldScope
from leverlock.domain.key_actions import KEY_CREATE, KEY_EDIT, KEYS, bound_terms, voucher_of
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.domain.policy_file import load_policy
from leverlock.domain.requirement import Requirement
from world import policy_text

FUTURES, MARGIN, SPOT, LOGIN = Environment.FUTURES, Environment.MARGIN, Environment.SPOT, Environment.LOGIN
FULL = Requirement.of("password", "totp")
TERMS = {"label": "bot", "scopes": "read"}


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
def test_no_policy_asks_for_less_than_password_and_code(row) -> None:  # type: ignore[no-untyped-def]
    """A rule that demands less joins with the floor; a policy that says nothing leaves the floor."""
    sections = [part for part in policy_text().split("\n\n[[rule]]\n") if f'"{row.name}"' not in part]
    silent = "\n\n[[rule]]\n".join(sections)
    lower = f'{silent}\n\n[[rule]]\nname = "lower"\naction = "{row.name}"\nrequire = ["totp"]\n'
    fields = TERMS | ({"key": "key_1"} if "key" in row.fields else {})
    for source in (silent, lower, policy_text(), policy_text("trader")):
        assert load_policy(source).requirement(parse(row, fields)) == FULL


def test_every_environment_has_both_rows_and_holds_stop_them() -> None:
    assert set(KEY_CREATE) == set(KEY_EDIT) == set(Environment)
    assert all(row.gated and row.held_by is HoldScope.KEYS and not row.legacy_exempt for row in KEYS)
    assert all(field.bound for row in KEYS for field in row.fields.values())


@pytest.mark.mission("M18")
@pytest.mark.parametrize(
    ("scopes", "on", "vouches"),
    [
        ({Scope.READ}, {FUTURES, SPOT}, LOGIN),
        ({Scope.READ}, set(), LOGIN),
        ({Scope.FUTURES}, {FUTURES}, FUTURES),
        ({Scope.FUTURES, Scope.READ}, {SPOT, LOGIN}, FUTURES),
        ({Scope.MARGIN}, {FUTURES, MARGIN}, MARGIN),
        ({Scope.MARGIN, Scope.FUTURES}, {MARGIN}, MARGIN),
        ({Scope.TRANSFER}, {SPOT}, SPOT),
        ({Scope.WITHDRAW}, {SPOT, FUTURES}, FUTURES),
        ({Scope.WITHDRAW}, set(), FUTURES),
        (set(Scope), {MARGIN, SPOT}, MARGIN),
    ],
)
def test_who_speaks_for_a_key(scopes: set[Scope], on: set[Environment], vouches: Environment) -> None:
    assert voucher_of(KEY_CREATE, scopes, on=on) is KEY_CREATE[vouches]


@pytest.mark.bar("B63")
def test_wherever_a_market_that_a_key_reaches_is_on_a_code_is_asked_for() -> None:
    """Every set of scopes against every set of markets: it is never left to the password where it need not be."""
    reach = {
        Scope.FUTURES: {FUTURES},
        Scope.MARGIN: {MARGIN},
        Scope.TRANSFER: set(MARKETS),
        Scope.WITHDRAW: set(MARKETS),
    }
    for scopes in chain.from_iterable(combinations(Scope, n) for n in range(1, len(Scope) + 1)):
        reached = set().union(*(reach.get(scope, set()) for scope in scopes))
        for on in chain.from_iterable(combinations(MARKETS, n) for n in range(4)):
            chosen = voucher_of(KEY_EDIT, scopes, on=on).environment
            assert chosen in (reached or {LOGIN})
            assert not (reached & set(on)) or chosen in on


@pytest.mark.bar("B63")
def test_a_factor_that_the_password_alone_bound_does_not_vouch_beside_an_older_one() -> None:
    """Who has the password binds Futures; the withdrawals of a key are still for Spot to say (ADR 0018)."""
    scopes = {Scope.WITHDRAW}
    assert voucher_of(KEY_CREATE, scopes, on={FUTURES, SPOT}, new={FUTURES}) is KEY_CREATE[SPOT]
    assert voucher_of(KEY_CREATE, scopes, on={FUTURES, SPOT}) is KEY_CREATE[FUTURES]
    assert voucher_of(KEY_CREATE, {Scope.FUTURES}, on={FUTURES, SPOT}, new={FUTURES}) is KEY_CREATE[FUTURES]
    assert voucher_of(KEY_CREATE, scopes, on={FUTURES}, new={FUTURES}) is KEY_CREATE[FUTURES]


@pytest.mark.bar("B63")
def test_every_term_is_agreed_to() -> None:
    terms = KeyTerms("desk", frozenset({Scope.READ, Scope.WITHDRAW}), ("192.0.2.1", "2001:db8::/64"), True)
    assert bound_terms(terms) == {
        "label": "desk",
        "scopes": "read withdraw",
        "ips": "192.0.2.1 2001:db8::/64",
        "otp_allowed": "true",
    }
    longest = KeyTerms(
        "x", frozenset({Scope.READ}), tuple(f"{n:04x}:" + "1111:" * 6 + "1111" for n in range(4096, 4108))
    )
    parse(KEY_CREATE[FUTURES], bound_terms(longest))
