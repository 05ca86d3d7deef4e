"""The request target: only the plain canonical form of a venue path passes (B65).

Proxies, venues and libraries disagree on what `//`, `%2f`, `;x`, `..` or a trailing slash mean. The gateway
does not take part in that argument: a path that could be read in two ways is refused, never normalised, so
what the policy judged cannot differ from what the venue receives.
"""

import re
from typing import Final

PATH_LIMIT: Final = 256  # bytes; the longest path of the venue's documented endpoints has under 80

# A segment starts with a lower-case letter or a digit ("fapi", "v1", "positionRisk", "sub-account"). That
# refuses `/FAPI`, `/V1` and `/Leverage` here, and leaves `/leveragE` to the table of exact paths. The
# quantifiers are possessive: no input makes the match go back.
_CANONICAL: Final = re.compile(rb"(?:/[a-z0-9][A-Za-z0-9_-]*+)++")


class NonCanonicalTarget(ValueError):
    """The path is not in the one form the gateway reads; the answer is 400 and nothing is forwarded."""


def canonical_path(raw_path: bytes) -> str:
    """The path as text, from ASGI's `scope["raw_path"]` (bytes before any decoding, no query).

    Raises NonCanonicalTarget for an empty or over-long path, an empty segment (`//`, a trailing `/`, `/`
    alone), `.` and `..`, any escape (`%2e`, `%2f`), `;`, an upper-case start of a segment, and every byte
    outside `A-Za-z0-9_-/` (B65).
    """
    if len(raw_path) > PATH_LIMIT or _CANONICAL.fullmatch(raw_path) is None:
        raise NonCanonicalTarget("The path is not in canonical form.")
    return raw_path.decode("ascii")
