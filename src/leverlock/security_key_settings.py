"""Settings of security keys: who we are to them, and which pages may use them."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from leverlock.setting_kinds import Section, SeveralProblems, Words

_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")


class SecurityKeys(Section):
    """FIDO2 security keys. A key belongs to its rp_id for ever: after a change of it every key is registered anew."""

    rp_id: str = Field("localhost", description="The domain that keys are registered for, without scheme or port.")
    rp_name: str | None = Field(None, description="What a browser calls us; else the issuer.")
    origins: Words = Field(
        ("http://localhost:8700",), description="The exact pages that may use the keys: https, and http for localhost."
    )
    device_bound: bool = Field(False, description="Refuse keys that may be copied to other devices, such as passkeys.")
    user_verification: Literal["required", "discouraged"] = Field(
        "required", description="Whether a key asks for its PIN or a fingerprint, or for a touch alone."
    )

    @model_validator(mode="after")
    def _pages_lie_within_the_domain(self) -> SecurityKeys:
        problems = [] if _is_domain(self.rp_id) else [("rp_id", "expected a domain such as futures.example.com")]
        if not self.origins:
            problems.append(("origins", "expected at least one page"))
        problems += [("origins", why) for page in self.origins for why in _why_not(page, self.rp_id)]
        if problems:
            raise SeveralProblems(problems)
        return self


def _is_domain(text: str) -> bool:
    """A name with a dot, or localhost; never an address, which no browser takes (WebAuthn section 5.1.2)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _DOMAIN.match(text) is not None and (text == "localhost" or "." in text)
    return False


def _why_not(page: str, rp_id: str) -> list[str]:
    """Why a page cannot use keys of this domain; nothing for one that can."""
    parts = urlsplit(page)
    host = parts.hostname or ""
    try:
        whole = page == f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    except ValueError:
        whole = False
    if not whole or parts.port == {"https": 443, "http": 80}.get(parts.scheme):
        return [f"{page}: expected scheme, host and a port that is not the scheme's own, as browsers write it"]
    if parts.scheme != "https" and not (parts.scheme == "http" and host == "localhost"):
        return [f"{page}: browsers use keys on https alone, and on http://localhost"]
    if host != rp_id and not host.endswith(f".{rp_id}"):
        return [f"{page}: lies outside rp_id {rp_id}"]
    return []
