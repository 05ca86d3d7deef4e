"""Accounts: one spelling of a login name, and how long a session lives (B55, B76, M1)."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leverlock.domain.account import (
    MAX_LOGIN,
    MAX_PASSWORD,
    MIN_PASSWORD,
    Session,
    SessionState,
    canonical_login,
    must_be_password,
)
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import HOUR, MINUTE, Limits

LIMITS = Limits()
SESSION = Session("ac", "se", SessionState.FULL, created_at=0, last_seen_at=0, password_at=0)


def spelling(typed: str) -> str | None:
    try:
        return canonical_login(typed)
    except Refused:
        return None


# --- one spelling -----------------------------------------------------------------------------------------------------


@pytest.mark.bar("B76")
@pytest.mark.parametrize(
    "spellings",
    [
        ["alice", "Alice", "ALICE", " alice", "alice\t", "ａｌｉｃｅ", "ＡＬＩＣＥ", "\u00a0Alice\u3000"],
        ["josé", "jose\u0301", "JOSÉ", "JOSE\u0301", "Jose\u0301"],
        ["strasse", "straße", "STRASSE", "STRAẞE", "Straße"],
        ["σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ", "ΣΊΣΥΦΟΣ".lower()],
        ["\u0390", "\u03aa\u0301", "\u03ca\u0301", "\u03b9\u0308\u0301", "\u0399\u0308\u0301", "\u1fd3"],
        ["fi@example.com", "ﬁ@example.com", "FI@EXAMPLE.COM"],
        ["\u1f80", "\u1f88", "\u03b1\u0313\u0345", "\u1f00\u03b9", "\u0391\u0313\u0345"],
        ["가", "\u1100\u1161"],
        ["用户", " 用户 "],
    ],
    ids=lambda spellings: spellings[0],
)
def test_one_name_whatever_its_case_or_composition(spellings: list[str]) -> None:
    assert {spelling(typed) for typed in spellings} == {spelling(spellings[0])}
    assert spelling(spellings[0]) is not None


@pytest.mark.bar("B76")
def test_the_canonical_spelling_of_every_letter_is_stable() -> None:
    """Every letter that has another case or form, alone and beside others: canonical twice is canonical once."""
    for point in range(0x110000):
        character = chr(point)
        plain = character.casefold() == character == unicodedata.normalize("NFKD", character)
        if plain and not unicodedata.combining(character):
            continue
        for typed in (character, "\u03b1" + character, character + "\u0301"):
            once = spelling(typed)
            assert once is None or spelling(once) == once, hex(point)


@pytest.mark.bar("B76")
@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x24FF), min_size=1, max_size=6))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_other_forms_of_any_name_are_that_name(typed: str) -> None:
    expected = spelling(typed)
    assume(expected is not None)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert spelling(unicodedata.normalize(form, typed)) == expected
    assert spelling(typed.casefold()) == expected


@pytest.mark.bar("B76")
def test_different_names_stay_different() -> None:
    names = ["alice", "alíce", "alice1", "al.ice", "al-ice", "al_ice", "a", "ali", "аlice", "alice@example.com", "ıi"]
    assert len({spelling(name) for name in names}) == len(names)


@pytest.mark.bar("B43")
@pytest.mark.parametrize(
    "typed",
    [
        *["", " ", "\t\n", "a b", "a\u00a0b", "a\u200bb", "a\u202eb", "a\x00b", "a\x1bb", "a\nb", "a:b", "key:x"],
        *["\ufeffa", "a\u00ad", "a\u034fb", "a\ufe0f", "a\u3164", "\u115f", "a\U000e0100", "a\ud800", "a\ue000"],
        *["a\u2028b", "x" * (MAX_LOGIN + 1), "ﷺ" * 20],
    ],
    ids=ascii,
)
def test_what_is_no_login_name_is_refused(typed: str) -> None:
    with pytest.raises(Refused) as raised:
        canonical_login(typed)
    assert (raised.value.reason, raised.value.field) == (Reason.MALFORMED, "login")


def test_the_longest_name() -> None:
    assert spelling("x" * MAX_LOGIN) == "x" * MAX_LOGIN


@pytest.mark.parametrize("length", [0, 1, MIN_PASSWORD - 1, MIN_PASSWORD, MAX_PASSWORD, MAX_PASSWORD + 1, 2**20])
def test_the_length_of_a_password(length: int) -> None:
    if MIN_PASSWORD <= length <= MAX_PASSWORD:
        must_be_password("p" * length)
        return
    with pytest.raises(Refused) as raised:
        must_be_password("p" * length)
    assert (raised.value.reason, raised.value.field) == (Reason.MALFORMED, "password")


# --- sessions ---------------------------------------------------------------------------------------------------------


def live(session: Session, now_ms: int) -> bool:
    try:
        session.must_be_live(now_ms, LIMITS)
    except Refused:
        return False
    return True


@pytest.mark.bar("B55")
def test_a_session_idles_a_quarter_of_an_hour() -> None:
    assert [live(SESSION, 15 * MINUTE + off) for off in (-1, 0, 1)] == [True, False, False]
    assert live(replace(SESSION, last_seen_at=15 * MINUTE), 15 * MINUTE)


@pytest.mark.bar("B55")
def test_activity_does_not_extend_the_absolute_limit() -> None:
    busy = replace(SESSION, last_seen_at=12 * HOUR - 1)
    assert [live(busy, 12 * HOUR + off) for off in (-1, 0, 1)] == [True, False, False]


def test_an_ended_session_is_over_at_once() -> None:
    with pytest.raises(Refused) as raised:
        replace(SESSION, state=SessionState.ENDED).must_be_live(0, LIMITS)
    assert raised.value.reason is Reason.NOT_AUTHENTICATED


@pytest.mark.mission("M1")
@pytest.mark.parametrize("state", list(SessionState))
def test_only_a_full_session_opens_anything(state: SessionState) -> None:
    session = replace(SESSION, state=state)
    if state is SessionState.FULL:
        session.must_be_full()
    else:
        with pytest.raises(Refused) as raised:
            session.must_be_full()
        recovering = state is SessionState.RECOVERY
        assert raised.value.reason is (Reason.RECOVERY_ONLY if recovering else Reason.LOGIN_CHALLENGE_OPEN)
    assert session.principal == "session:se"
