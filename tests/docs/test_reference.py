"""The reference pages say what the program is: they are made from it, and compared with it here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import reference


@pytest.mark.parametrize("page", sorted(reference.pages()), ids=lambda page: page.name)
def test_the_page_is_the_programs_own(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == reference.pages()[page], "run: python tools/reference.py --write"


def test_every_setting_and_command_stands_on_its_page() -> None:
    from leverlock.settings_sources import load_settings, shown

    settings = (reference.REFERENCE / "settings.md").read_text(encoding="utf-8")
    for name, _, _ in shown(load_settings(Path("/dev/null"), {})):
        assert f"| `{name}` |" in settings
    commands = (reference.REFERENCE / "cli.md").read_text(encoding="utf-8")
    for name in ("leverlock serve", "leverlock approve", "leverlock venue connect", "leverlock audit verify"):
        assert f"\n## {name}\n" in commands
