"""Phone numbers: what a person typed, as the one E.164 form that is sealed, compared and sent to (M12, B18).

Any country that has a numbering plan is taken, in international form. Refused are ranges that cannot receive an SMS or
that somebody earns money with: premium and shared cost, toll-free, satellite and the world's own codes (+870, +881,
+882, +979 and the like), which belong to no country.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from leverlock.domain.errors import Reason, Refused

PREFIX_DIGITS: Final = 7  # a pumped range is seldom wider, an honest neighbourhood seldom narrower (B18)
MAX_TYPED: Final = 32  # characters; an E.164 number has at most 15 digits

# Plans such as the North American one do not tell mobile from fixed lines.
_MOBILE: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_WORLD: Final = "001"  # the region of codes that belong to no country: satellites, global premium services
_TYPED: Final = re.compile(r"\+[0-9][0-9 ().-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """`e164`: `+` and digits, judged by `phone_number` before it was kept."""

    e164: str

    @property
    def prefix(self) -> str:
        """What numbers of one range have in common."""
        return self.e164[: 1 + PREFIX_DIGITS]

    @property
    def masked(self) -> str:
        """How it is shown and recorded, such as `+44********56`: its owner knows it, nobody else can call it."""
        return f"{self.e164[:3]}{'*' * max(len(self.e164) - 5, 0)}{self.e164[-2:]}"


def phone_number(typed: str, *, countries: frozenset[str] = frozenset()) -> PhoneNumber:
    """The number that `typed` means. `countries`: when not empty, the only ones that are taken, as ISO 3166 codes.

    Raises Refused: MALFORMED for what is no mobile number, NUMBER_NOT_ALLOWED for one that is not texted.
    """
    if len(typed) > MAX_TYPED or _TYPED.fullmatch(typed) is None:
        raise Refused(Reason.MALFORMED, "a number is written in international form: +44 7400 123456", field="number")
    try:
        parsed = phonenumbers.parse(typed)
    except NumberParseException:
        raise Refused(Reason.MALFORMED, "this is no phone number", field="number") from None
    if not phonenumbers.is_valid_number(parsed):
        raise Refused(Reason.MALFORMED, "no network has a number like this", field="number")
    region = phonenumbers.region_code_for_number(parsed) or _WORLD
    if region == _WORLD or phonenumbers.number_type(parsed) not in _MOBILE:
        raise Refused(
            Reason.NUMBER_NOT_ALLOWED, "only mobile numbers of a country, no premium or satellite range", field="number"
        )
    if countries and region not in countries:
        raise Refused(Reason.NUMBER_NOT_ALLOWED, f"numbers of {region} are not served here", field="number")
    return PhoneNumber(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))
