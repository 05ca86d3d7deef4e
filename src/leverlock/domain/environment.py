"""Environments: scopes with factors of their own, so that a code of one never serves another (M10, M23)."""

from enum import StrEnum


class Environment(StrEnum):
    """A scope of protection. `login` guards getting in; the three markets guard what is done there."""

    LOGIN = "login"
    SPOT = "spot"
    MARGIN = "margin"
    FUTURES = "futures"

    @property
    def label(self) -> str:
        """The word an authenticator app shows behind the issuer: `<Issuer> Futures` (M7)."""
        return self.value.capitalize()


MARKETS = (Environment.SPOT, Environment.MARGIN, Environment.FUTURES)
