"""Field kinds: what is one value has one canonical text, and what is not clearly of its kind is refused (B41, B43)."""

from __future__ import annotations

import random
import unicodedata
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverlock.domain.values import (
    MAX_NUMBER,
    MAX_TEXT,
    Field,
    ValueRefused,
    ascii_text,
    ascii_word,
    boolean,
    choice,
    decimal,
    has_invisible,
    integer,
    text,
    word,
)

SIGNED = decimal(positive=False)
FIELDS = {
    "text": text(),
    "word": word(),
    "ascii text": ascii_text(),
    "ascii word": ascii_word(),
    "decimal": decimal(),
    "signed": SIGNED,
    "integer": integer(),
    "boolean": boolean(),
    "choice": choice("ISOLATED", "CROSSED"),
}


def canonical(field: Field, value: str) -> str | None:
    """The canonical text, or None where the value is refused."""
    try:
        return field.canonical(value)
    except ValueRefused:
        return None


@pytest.mark.bar("B41")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("50", "50"),
        ("50.0", "50"),
        ("5e1", "50"),
        ("5E+1", "50"),
        ("500e-1", "50"),
        ("050", "50"),
        ("0", "0"),
        ("0.000", "0"),
        ("00", "0"),
        ("0e5", "0"),
        ("0e-99", "0"),
        ("0.10", "0.1"),
        ("1e-8", "0.00000001"),
        ("100", "100"),
        ("0100.0010", "100.001"),
        ("1e39", "1" + "0" * 39),
    ],
)
def test_one_quantity_has_one_text(written: str, meant: str) -> None:
    assert decimal().canonical(written) == meant


@pytest.mark.bar("B41")
@pytest.mark.parametrize(
    "written",
    [
        "1.00000000000000000000000000000000001",
        "999999999999999999999999999999999999.5",
        "1234567890123456789012345678901234567890",
        "0.12345678901234567890123456789012345678",
    ],
)
def test_no_digit_is_rounded_away(written: str) -> None:
    """More than the 28 digits of Python's default decimal context: two quantities must not become one."""
    assert decimal().canonical(written) == written


@pytest.mark.bar("B41")
@pytest.mark.parametrize("digits", ["1.0000000000000000000000000000000001", "99999999999999999999999999999999999.5"])
@pytest.mark.parametrize("spelling", ["0{}", "{}0", "{}e0", "0{}00"])
def test_no_digit_is_rounded_away_of_another_spelling_either(digits: str, spelling: str) -> None:
    assert decimal().canonical(spelling.format(digits)) == digits


@pytest.mark.parametrize(("written", "meant"), [("-0", "0"), ("-0.0e3", "0"), ("-5e1", "-50"), ("7", "7")])
def test_signed_decimals_know_one_zero(written: str, meant: str) -> None:
    assert SIGNED.canonical(written) == meant


NOT_NUMBERS = [
    "",
    " ",
    "NaN",
    "nan",
    "sNaN",
    "inf",
    "Infinity",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "1_000",
    "1,5",
    ".5",
    "5.",
    "1e",
    "e5",
    "1e+",
    "1e100",
    "1e99",
    "0x32",
    "1.2.3",
    "５０",
    "٥٠",
    "५०",
    "5٠",
    "²",
    "½",
    "五",
    "1\u200b",
    "\u202e05",
    "1\x00",
    "9" * (MAX_NUMBER + 1),
    "0" * MAX_NUMBER + "1",
    "1" * 2**20,
]


@pytest.mark.bar("B43")
@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda v: ascii(v[:12]))
def test_what_is_no_decimal_is_refused(value: str) -> None:
    with pytest.raises(ValueRefused):
        decimal().canonical(value)


@pytest.mark.bar("B43")
@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS, "050", "00", "5e1", "50.0", "-0", "1" * 19], ids=lambda v: ascii(v[:12])
)
def test_what_is_no_whole_number_is_refused(value: str) -> None:
    with pytest.raises(ValueRefused):
        integer().canonical(value)


@pytest.mark.parametrize("value", ["0", "1", "50", "125", "9" * 18])
def test_whole_numbers_are_their_own_text(value: str) -> None:
    assert integer().canonical(value) == value


@pytest.mark.parametrize(
    ("written", "meant"), [("true", "true"), ("True", "true"), ("false", "false"), ("False", "false")]
)
def test_booleans_as_the_clients_write_them(written: str, meant: str) -> None:
    assert boolean().canonical(written) == meant


@pytest.mark.bar("B43")
@pytest.mark.parametrize("value", ["", "TRUE", "tRue", "1", "0", "yes", " true", "true ", "true\n", "ｔｒｕｅ", "null"])
def test_what_is_no_boolean_is_refused(value: str) -> None:
    with pytest.raises(ValueRefused):
        boolean().canonical(value)


@pytest.mark.bar("B43")
@pytest.mark.parametrize(
    "value", ["", "crossed", "Crossed", "CROSS", " CROSSED", "CROSSED\n", "ＣＲＯＳＳＥＤ", "СROSSED"]
)
def test_an_unknown_choice_is_refused(value: str) -> None:
    with pytest.raises(ValueRefused):
        FIELDS["choice"].canonical(value)


@pytest.mark.parametrize("value", ["BTCUSDT", "这是测试币456", "é", "a b", "x" * MAX_TEXT, "🪙", "ß", "Ω"])
def test_text_of_any_script_is_kept_as_it_is(value: str) -> None:
    assert text().canonical(value) == value


HOSTILE_TEXT = {
    "empty": "",
    "too long": "x" * (MAX_TEXT + 1),
    "a megabyte": "x" * 2**20,
    "decomposed (NFD)": "e\u0301",
    "compatibility form of the ohm sign": "\u2126",
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "NUL": "a\x00b",
    "escape sequence": "\x1b[31mBTC",
    "delete": "a\x7fb",
    "next line": "a\u0085b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "right-to-left override": "\u202eTDSUCTB",
    "isolate": "a\u2066b",
    "zero width space": "BTC\u200bUSDT",
    "zero width joiner": "a\u200db",
    "soft hyphen": "a\u00adb",
    "byte order mark": "\ufeffBTC",
    "tag character": "a\U000e0041b",
    "variation selector": "a\ufe0fb",
    "variation selector 17": "a\U000e0100b",
    "Hangul filler": "a\u3164b",
    "grapheme joiner": "a\u034fb",
    "private use": "a\ue000b",
    "unassigned": "a\u0378b",
    "lone surrogate": "a\ud800b",
    "leading space": " BTC",
    "trailing space": "BTC ",
    "trailing no-break space": "BTC\u00a0",
}


@pytest.mark.bar("B41")
@pytest.mark.bar("B43")
@pytest.mark.parametrize("value", HOSTILE_TEXT.values(), ids=list(HOSTILE_TEXT))
def test_text_that_could_look_like_another_is_refused(value: str) -> None:
    with pytest.raises(ValueRefused) as raised:
        text().canonical(value)
    assert value[:8] not in str(raised.value) or not value, "a refusal must not repeat a hostile value"


def test_invisible_is_what_unicode_calls_ignorable() -> None:
    """Every code point of the ranges of Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties)."""
    ignorable = [0x00AD, 0x034F, 0x061C, *range(0x115F, 0x1161), *range(0x17B4, 0x17B6), *range(0x180B, 0x1810)]
    ignorable += [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164]
    ignorable += [*range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4)]
    ignorable += [*range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)]
    assert [hex(point) for point in ignorable if not has_invisible(f"a{chr(point)}b")] == []
    assert not has_invisible("BTC 这是测试币456 éß🪙")


@pytest.mark.bar("B41")
@pytest.mark.parametrize("name", FIELDS)
@given(data=st.data())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_canonical_text_is_its_own_canonical_text(name: str, data: st.DataObject) -> None:
    written = data.draw(
        st.text(max_size=20) | st.from_regex(r"\A-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?\Z")
    )
    once = canonical(FIELDS[name], written)
    if once is not None:
        assert canonical(FIELDS[name], once) == once


def spelled(chance: random.Random) -> tuple[str, Fraction]:
    """A random spelling of a random number, and that number: digits, zeros in front and behind, exponents."""
    digits = "".join(chance.choice("0123456789") for _ in range(chance.choice([1, 2, 3, 30])))
    whole, fraction = (
        "0" * chance.randrange(3) + digits,
        "".join(chance.choice("005") for _ in range(chance.randrange(4))),
    )
    exponent = chance.choice([None, None, 0, 1, -1, 3, -3])
    mantissa = f"{whole}.{fraction}" if fraction else whole
    value = Fraction(int(whole + fraction), 10 ** len(fraction)) * Fraction(10) ** (exponent or 0)
    return mantissa if exponent is None else f"{mantissa}{chance.choice('eE')}{exponent:+d}", value


@pytest.mark.bar("B41")
def test_equal_texts_exactly_for_equal_numbers() -> None:
    """Rationals, not decimals, say what is meant. Short numbers are drawn often, so that many pairs are equal."""
    chance = random.Random(8785)
    equal = 0
    for _ in range(10_000):
        (left, left_value), (right, right_value) = spelled(chance), spelled(chance)
        if chance.random() < 0.3:
            right, right_value = left + ("0" if "." in left and "e" not in left.lower() else ""), left_value
        forms = [canonical(decimal(), left), canonical(decimal(), right)]
        assert None not in forms, (left, right)
        assert (forms[0] == forms[1]) is (left_value == right_value), (left, right)
        assert Fraction(str(forms[0])) == left_value
        equal += left_value == right_value
    assert 1_000 < equal < 9_000


def test_kept_text_is_nfc() -> None:
    """What passes is what every reader shows the same way, whatever was typed."""
    chance = random.Random(15)
    kept = [t for t in ("".join(chance.choices("aéñ\u0301한가ω", k=4)) for _ in range(2_000)) if canonical(text(), t)]
    assert kept
    assert all(unicodedata.is_normalized("NFC", t) for t in kept)


@pytest.mark.bar("B49")
@pytest.mark.parametrize(
    "hostile",
    [
        "0x\u0430b12",  # a Cyrillic letter for a Latin one
        "0xab\u202e21",  # from here on from right to left
        "0xab\u200b12",  # shows nothing
        "0xab12\uff11",  # a full-width digit
        "\u05d00xab12",
        "0xab12\n",
        "0xab12\x00",
        "0xab12\x1b[2K",
        " 0xab12",
        "0xab12 ",
        "",
        "x" * 257,
    ],
)
def test_what_says_where_money_goes_has_no_letter_that_looks_like_another(hostile: str) -> None:
    assert canonical(ascii_word(), hostile) is None
    assert canonical(ascii_text(), hostile) is None
    assert canonical(ascii_word(), "0xab12") == canonical(ascii_text(), "0xab12") == "0xab12"


def test_a_word_has_no_blank_and_a_text_may() -> None:
    assert canonical(ascii_word(), "for Bob") is None
    assert canonical(ascii_text(), "for Bob") == "for Bob"
    assert canonical(ascii_text(longest=3), "1234") is None
