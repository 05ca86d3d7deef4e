"""The size rule finds what is too long, and forgets no exception."""

from __future__ import annotations

from pathlib import Path

import size


def module(lines: int) -> str:
    return "x = 1\n" * lines


def function(lines: int, docstring: int = 0) -> str:
    text = '    """One.\n' + "    more\n" * docstring + '    """\n' if docstring else ""
    return "def long():\n" + text + "    x = 1\n" * (lines - 1)


def findings(root: Path, text: str) -> list[str]:
    (root / "src").mkdir(exist_ok=True)
    (root / "src" / "a.py").write_text(text)
    return [place for place, _ in size.findings(root)]


def test_the_limits_are_exact(tmp_path: Path) -> None:
    assert findings(tmp_path, module(350)) == []
    assert findings(tmp_path, module(351)) == ["src/a.py"]
    assert findings(tmp_path, function(70)) == []
    assert findings(tmp_path, function(71)) == ["src/a.py:long"]


def test_a_docstring_is_not_counted(tmp_path: Path) -> None:
    assert findings(tmp_path, function(70, docstring=40)) == []
    assert findings(tmp_path, function(71, docstring=40)) == ["src/a.py:long"]


def test_an_exception_no_longer_needed_is_an_error(tmp_path: Path) -> None:
    findings(tmp_path, module(351))
    assert size.main(tmp_path, {}) == 1
    assert size.main(tmp_path, {"src/a.py": "a table"}) == 0
    findings(tmp_path, module(350))
    assert size.main(tmp_path, {"src/a.py": "a table"}) == 1
