"""The otpauth URI that an authenticator app scans, so that it shows `<Issuer> Futures` and nothing else (M7).

The same issuer stands in the label and in the parameter, because apps read one or the other; a space is `%20`, never
`+`, which some apps print; SHA-1, 6 digits and 30 s are every app's defaults and are left out, because some apps
ignore them and then show wrong codes.
"""

from __future__ import annotations

import base64

import pyotp

from leverlock.domain.environment import Environment


def must_be_issuer(issuer: str) -> str:
    """Raises ValueError for an issuer that apps would split or garble: a colon, control characters, outer spaces."""
    if not 1 <= len(issuer) <= 64 or ":" in issuer or not issuer.isprintable() or issuer != issuer.strip():
        raise ValueError(f"an issuer has 1 to 64 printable characters and no colon, got {issuer!r}")
    return issuer


def secret_text(seed: bytes) -> str:
    """The seed as a person types it: upper-case base32 without padding."""
    return base64.b32encode(seed).decode("ascii").rstrip("=")


def otpauth_uri(seed: bytes, *, issuer: str, environment: Environment, login: str, compact: bool = False) -> str:
    """`otpauth://totp/Acme%20Futures:alice?secret=…&issuer=Acme%20Futures`; `compact` leaves every space out."""
    shown = f"{must_be_issuer(issuer)} {environment.label}"
    if compact:
        shown = shown.replace(" ", "")
    return pyotp.TOTP(secret_text(seed)).provisioning_uri(name=login, issuer_name=shown)
