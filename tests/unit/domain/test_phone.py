"""Phone numbers: any country's mobile numbers, one form each, and no range that costs or pays somebody (M12, B18)."""

from __future__ import annotations

import pytest

from leverlock.domain.errors import Reason
from leverlock.domain.phone import phone_number
from world import refused


@pytest.mark.mission("M12")
@pytest.mark.parametrize(
    ("typed", "e164"),
    [
        ("+44 7400 123456", "+447400123456"),
        ("+447400123456", "+447400123456"),
        ("+1 (415) 555-0123", "+14155550123"),  # a plan that does not tell mobile from fixed lines
        ("+86 138-0013-8000", "+8613800138000"),
        ("+852 5123 4567", "+85251234567"),
        ("+49.1512.3456789", "+4915123456789"),
        ("+234 803 123 4567", "+2348031234567"),
        ("+55 11 96123-4567", "+5511961234567"),
        ("+91 81234 56789", "+918123456789"),
        ("+65 8123 4567", "+6581234567"),
        ("+971 50 123 4567", "+971501234567"),
    ],
)
def test_every_spelling_of_a_mobile_number_is_one_number(typed: str, e164: str) -> None:
    assert phone_number(typed).e164 == e164


@pytest.mark.bar("B18")
@pytest.mark.parametrize(
    "typed",
    [
        "+1 900 555 1234",  # premium, United States
        "+44 90 1234 5678",  # premium, United Kingdom
        "+979 123 456 789",  # premium, of the world
        "+881 612 345 678",  # satellite
        "+870 773 111 632",  # satellite
        "+882 16 1234 567",
        "+800 1234 5678",  # toll-free, of the world
        "+39 06 1234 5678",  # a fixed line
        "+44 20 7946 0958",
    ],
)
def test_premium_satellite_and_fixed_ranges_are_denied(typed: str) -> None:
    with refused(Reason.NUMBER_NOT_ALLOWED):
        phone_number(typed)


@pytest.mark.bar("B18")
def test_an_allow_list_of_countries_holds() -> None:
    only = frozenset({"GB", "CN"})
    assert phone_number("+44 7400 123456", countries=only)
    with refused(Reason.NUMBER_NOT_ALLOWED):
        phone_number("+49 1512 3456789", countries=only)
    # Guernsey shares +44 and is another country.
    with refused(Reason.NUMBER_NOT_ALLOWED):
        phone_number("+44 7781 123456", countries=only)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "+",
        "07400 123456",  # no country
        "0044 7400 123456",
        "447400123456",
        "+44 7400 12345",  # too short
        "+44 7400 1234567",
        "+999 123 456 789",
        "+44 7400 123456;ext=5",
        "+44 7400 123456 x5",
        "tel:+447400123456",
        "+44 7400\u00a0123456",
        "+٤٤ 7400 123456",
        "＋447400123456",
        "+44 7400 123456\n",
        "+44 7400 123456\x00",
        "+447400123456,+447400123457",
        "+" + "4" * 40,
        "+44 (0) 7400 123456" + " " * 40,
    ],
)
def test_what_is_no_international_mobile_number_is_refused_by_the_name_of_its_field(typed: str) -> None:
    with refused(Reason.MALFORMED) as why:
        phone_number(typed)
    assert why.value.field == "number"
    assert len(typed) < 5 or typed not in why.value.detail


def test_a_number_is_shown_masked() -> None:
    number = phone_number("+44 7400 123456")
    assert number.masked == "+44********56"
    assert len(number.masked) == len(number.e164)
    assert number.prefix == "+4474001"
