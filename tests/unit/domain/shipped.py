"""The two policies that ship, loaded from the package."""

from __future__ import annotations

from importlib import resources

from leverlock.domain.policy import Policy
from leverlock.domain.policy_file import load_policy

NAMES = ("literal", "trader")
SOURCES = {name: (resources.files("leverlock") / "policies" / f"{name}.toml").read_text("utf-8") for name in NAMES}


def policy(name: str) -> Policy:
    return load_policy(SOURCES[name])
