"""HOTP and TOTP against published vectors, and the rules by which a step is accepted once."""

from __future__ import annotations

import hashlib
import hmac
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverlock.domain import totp
from leverlock.domain.totp import NEVER_USED, NoMatch, StepUsed, Window, hotp, is_code, match_step, step_at

from .vectors import vectors

RFC4226 = vectors("rfc4226")
RFC6238 = vectors("rfc6238")
DERIVED = vectors("derived")
ANSWERS = vectors("answers")
SECRET = RFC4226["secret"].encode()
LIVE_AT_MS = 59_000  # RFC 6238, Appendix B: T = 1
STANDARD_OFFSETS = {-1, 0, 1}
ACCEPTED_OFFSETS = {Window.STANDARD: STANDARD_OFFSETS, Window.NARROW: {0}}
windows = pytest.mark.parametrize("window", list(Window))


def accepted(code: str, now_ms: int, last_step: int = NEVER_USED, window: Window = Window.STANDARD) -> int | None:
    """The step that `code` proves at `now_ms`, or None when it is refused for whatever reason."""
    try:
        return match_step(SECRET, code, now_ms=now_ms, last_step=last_step, window=window).step
    except (NoMatch, StepUsed):
        return None


# --- the published values ---------------------------------------------------------------------------------------------


@pytest.mark.bar("B1")
@pytest.mark.parametrize("value", RFC4226["value"], ids=lambda v: f"count {v['count']}")
def test_hotp_of_rfc_4226(value: dict) -> None:
    mac = hmac.digest(SECRET, value["count"].to_bytes(8, "big"), "sha1")
    assert mac.hex() == value["hmac"]
    offset = mac[19] % 16
    assert int(mac[offset : offset + 4].hex(), 16) % 2**31 == int(value["truncated"], 16) == value["decimal"]
    assert hotp(SECRET, value["count"]) == value["hotp"]


@pytest.mark.bar("B1")
@pytest.mark.parametrize("digits", [8, 6])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("value", RFC6238["value"], ids=lambda v: f"t {v['time']}")
def test_totp_of_rfc_6238(value: dict, algorithm: totp.HashName, digits: int) -> None:
    secret = RFC6238["secrets"][algorithm].encode()
    assert len(secret) == {"sha1": 20, "sha256": 32, "sha512": 64}[algorithm]
    assert value["utc"].timestamp() == value["time"]
    assert step_at(value["time"] * 1000) == value["step"]
    assert hotp(secret, value["step"], digits=digits, algorithm=algorithm) == value[algorithm][-digits:]


@pytest.mark.bar("B1")
@pytest.mark.parametrize("counter", [2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**64 - 1])
def test_the_counter_is_64_bit_wide(counter: int) -> None:
    """Written out anew from RFC 4226 section 5.2 and 5.3, since no published value reaches past 32 bits."""
    mac = hmac.new(SECRET, bytes.fromhex(f"{counter:016x}"), hashlib.sha1).digest()
    number = int(mac.hex()[2 * (mac[-1] & 15) :][:8], 16) & 0x7FFFFFFF
    assert hotp(SECRET, counter) == f"{number % 1_000_000:06d}"
    assert hotp(SECRET, counter) != hotp(SECRET, counter % 2**32) or counter < 2**32


@pytest.mark.bar("B1")
def test_a_counter_beyond_64_bits_is_no_counter() -> None:
    with pytest.raises(OverflowError):
        hotp(SECRET, 2**64)


def test_the_step_changes_on_the_millisecond() -> None:
    assert [step_at(ms) for ms in (0, 29_999, 30_000, 59_999, 60_000)] == [0, 0, 1, 1, 2]


# --- the window -------------------------------------------------------------------------------------------------------


@windows
@pytest.mark.parametrize("second", [0, 1, 29])
@pytest.mark.parametrize("value", RFC6238["value"][1:], ids=lambda v: f"t {v['time']}")
@pytest.mark.bar("B3")
def test_accepted_steps_are_exactly_the_window(value: dict, second: int, window: Window) -> None:
    step = value["step"]
    now_ms = (step * 30 + second) * 1000
    codes = {offset: hotp(SECRET, step + offset) for offset in range(-10, 11)}
    assert len(set(codes.values())) == 21, "a collision would blur the sweep"
    taken = {offset for offset, code in codes.items() if accepted(code, now_ms, window=window) == step + offset}
    assert taken == ACCEPTED_OFFSETS[window]
    refused = {offset for offset, code in codes.items() if accepted(code, now_ms, window=window) is None}
    assert refused == set(codes) - taken


@pytest.mark.bar("B3")
@windows
def test_the_window_at_the_beginning_of_time_has_no_negative_step(window: Window) -> None:
    assert accepted(hotp(SECRET, 0), 0, window=window) == 0
    assert accepted(hotp(SECRET, 1), 29_999, window=window) == (1 if window is Window.STANDARD else None)


@pytest.mark.bar("B12")
@given(
    secret=st.binary(min_size=16, max_size=64),
    now_ms=st.integers(min_value=0, max_value=2**43),
    window=st.sampled_from(Window),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_at_most_three_codes_live_at_any_instant(secret: bytes, now_ms: int, window: Window) -> None:
    """Every six-digit string that any step within an hour around could stand for is tried."""
    tried = {hotp(secret, step) for step in range(max(0, step_at(now_ms) - 60), step_at(now_ms) + 61)}
    live = set()
    for code in tried:
        try:
            match_step(secret, code, now_ms=now_ms, last_step=NEVER_USED, window=window)
            live.add(code)
        except NoMatch:
            pass
    assert 1 <= len(live) <= len(ACCEPTED_OFFSETS[window]) <= 3


@pytest.mark.bar("B12")
def test_of_all_million_strings_three_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole space, at one instant. The codes of each step are computed once; the million compares are real."""
    known = {step: hotp(SECRET, step) for step in range(41152263 - 5, 41152263 + 6)}
    monkeypatch.setattr(totp, "hotp", lambda _secret, counter: known[counter])
    live = {code for n in range(10**6) if accepted(code := f"{n:06d}", 1234567890_000) is not None}
    assert live == {known[41152262], known[41152263], known[41152264]}


@pytest.mark.bar("B12")
def test_nothing_is_learned_from_a_phone_that_runs_ahead() -> None:
    """No resynchronisation (RFC 6238 section 6): a code of the step after next stays refused however often it comes."""
    now_ms = 1_111_111_111_000
    ahead = hotp(SECRET, step_at(now_ms) + 2)
    assert [accepted(ahead, now_ms) for _ in range(20)] == [None] * 20


# --- once -------------------------------------------------------------------------------------------------------------


@pytest.mark.bar("B4")
@pytest.mark.parametrize("last", range(-11, 12))
@pytest.mark.parametrize("given_step", [-1, 0, 1])
def test_only_a_step_above_the_last_accepted_one_serves(last: int, given_step: int) -> None:
    step = 37037036
    code = hotp(SECRET, step + given_step)
    seen = accepted(code, step * 30_000, last_step=step + last)
    assert seen == (step + given_step if given_step > last else None)


@pytest.mark.bar("B4")
def test_a_code_is_dead_after_its_successor_was_used() -> None:
    """Use T, then T+1, then T again inside its window: who only remembers the last code lets it through."""
    step = 37037036
    now_ms = step * 30_000
    last = match_step(SECRET, hotp(SECRET, step), now_ms=now_ms, last_step=NEVER_USED, window=Window.STANDARD).step
    last = match_step(SECRET, hotp(SECRET, step + 1), now_ms=now_ms, last_step=last, window=Window.STANDARD).step
    for replayed in (step - 1, step, step + 1):
        with pytest.raises(StepUsed):
            match_step(SECRET, hotp(SECRET, replayed), now_ms=now_ms, last_step=last, window=Window.STANDARD)


@pytest.mark.bar("B4")
@pytest.mark.parametrize("seed", range(5))
def test_no_history_accepts_a_step_twice_or_goes_back(seed: int) -> None:
    """A seeded walk of an hour: right, late, early and replayed codes, and a clock that jumps both ways."""
    chance = random.Random(seed)
    last, now_ms, steps = NEVER_USED, 1_234_567_890_000, []
    for _ in range(2_000):
        now_ms += chance.choice([0, 1_000, 7_000, 30_000, -30_000])
        code = hotp(SECRET, step_at(now_ms) + chance.randint(-3, 3))
        step = accepted(code, now_ms, last)
        if step is not None:
            steps.append(step)
            last = step
    assert len(steps) >= 15
    assert steps == sorted(set(steps))


@pytest.mark.bar("B6")
@pytest.mark.parametrize("case", DERIVED["collision"], ids=lambda c: c["code"])
def test_digits_that_two_steps_share_burn_the_higher_one(case: dict) -> None:
    low, high = case["steps"]
    code = case["code"]
    assert hotp(SECRET, low) == hotp(SECRET, high) == code
    now_ms = case["time"] * 1000
    match = match_step(SECRET, code, now_ms=now_ms, last_step=NEVER_USED, window=Window.STANDARD)
    assert match.step == high
    with pytest.raises(StepUsed):
        match_step(SECRET, code, now_ms=now_ms, last_step=match.step, window=Window.STANDARD)


@pytest.mark.bar("B6")
@pytest.mark.parametrize("case", DERIVED["collision"], ids=lambda c: c["code"])
def test_the_higher_step_still_serves_when_the_lower_was_used(case: dict) -> None:
    """The lower step was spent while the higher one was not yet in the window."""
    low, high = case["steps"]
    assert accepted(case["code"], case["time"] * 1000, last_step=low) == high


@pytest.mark.parametrize("case", DERIVED["zeros"], ids=lambda c: c["code"])
def test_leading_zeros_are_digits(case: dict) -> None:
    assert hotp(SECRET, case["step"]) == case["code"]
    assert accepted(case["code"], case["time"] * 1000) == case["step"]
    assert accepted(str(int(case["code"])), case["time"] * 1000) is None


# --- the form of an answer --------------------------------------------------------------------------------------------


def test_the_live_answer_of_the_table_is_live() -> None:
    assert accepted(ANSWERS["live"], LIVE_AT_MS) == 1


@pytest.mark.bar("B8")
@pytest.mark.parametrize("case", ANSWERS["refused"], ids=lambda c: c["name"])
def test_an_answer_of_any_other_form_is_no_code(case: dict) -> None:
    assert is_code(case["answer"]) is False
    with pytest.raises(NoMatch):
        match_step(SECRET, case["answer"], now_ms=LIVE_AT_MS, last_step=NEVER_USED, window=Window.STANDARD)


@pytest.mark.bar("B8")
@pytest.mark.parametrize("answer", [None, b"287082", 287082.0, "9" * 2**20, "28708", "287082000", "0x4616a", "-87082"])
def test_what_toml_cannot_write_is_no_code_either(answer: object) -> None:
    assert is_code(answer) is False


@pytest.mark.bar("B8")
@pytest.mark.parametrize("case", ANSWERS["wrong"], ids=lambda c: c["name"])
def test_digits_that_are_not_the_very_six_are_wrong(case: dict) -> None:
    assert is_code(case["answer"]) is True
    with pytest.raises(NoMatch):
        match_step(SECRET, case["answer"], now_ms=LIVE_AT_MS, last_step=NEVER_USED, window=Window.STANDARD)


@pytest.mark.bar("B8")
@given(st.text(max_size=12))
@settings(max_examples=1_000, deadline=None, derandomize=True)
def test_is_code_is_six_to_eight_ascii_digits(text: str) -> None:
    assert is_code(text) is (6 <= len(text) <= 8 and all(character in "0123456789" for character in text))


@pytest.mark.bar("B62")
@pytest.mark.parametrize("answer", ["000000", "0287082", "28708", "nonsense", ""])
def test_all_wrong_answers_raise_the_same(answer: str) -> None:
    with pytest.raises(NoMatch) as raised:
        match_step(SECRET, answer, now_ms=LIVE_AT_MS, last_step=NEVER_USED, window=Window.STANDARD)
    assert raised.value.args == ()


# --- equal work -------------------------------------------------------------------------------------------------------


@pytest.mark.bar("B86")
@pytest.mark.parametrize("offset", [-1, 0, 1, 5])
def test_every_candidate_is_compared_whatever_matches(monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    """In constant time and to the end: three compares of whole codes, for a hit at either end and for a miss."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def counted(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return real(left, right)

    monkeypatch.setattr(totp.hmac, "compare_digest", counted)
    step = 37037036
    given_code = hotp(SECRET, step + offset)
    accepted(given_code, step * 30_000)
    expected = [(hotp(SECRET, step + around).encode(), given_code.encode()) for around in (-1, 0, 1)]
    assert sorted(compared) == sorted(expected)


# --- any RFC 6238 app -------------------------------------------------------------------------------------------------


@pytest.mark.mission("M5")
def test_the_parameters_are_those_every_app_knows() -> None:
    """SHA-1, six digits, 30 s: what an app assumes when an otpauth URI says nothing (M5)."""
    assert (totp.DIGITS, totp.STEP_SECONDS, totp.SEED_BYTES) == (6, 30, 20)
    assert accepted(RFC6238["value"][0]["sha1"][-6:], LIVE_AT_MS) == 1
