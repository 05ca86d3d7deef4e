"""Named SQL: the acts use every statement of queries.sql, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import leverlock.store
from leverlock.store import statements as module
from leverlock.store.statements import statements

STORE = Path(leverlock.store.__file__).parent
ACTS = [*sorted(STORE.glob("acts_*.py")), STORE / "transaction.py", STORE / "sqlite.py"]
CALLS = {"all", "one", "write", "_session_write", "_number_write"}


def named_in_code() -> set[str]:
    """Every string that a cursor is called with; computed names appear as the strings they are computed from."""
    found: set[str] = set()
    for path in ACTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                found |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
            if isinstance(node, ast.Dict):  # prune walks over a table of names
                keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
                found |= {key for key in keys if key.startswith("prune_")}
    return found


def test_every_statement_is_used_and_every_use_is_named() -> None:
    assert named_in_code() == set(statements())


def test_no_sql_stands_in_the_code_of_the_acts() -> None:
    sql = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b")
    for path in ACTS:
        strings = [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and sql.search(node.value)
        ]
        assert [text for text in strings if "\n" not in text and not text.endswith(".")] == [], path.name


@pytest.mark.bar("B97")
def test_what_is_used_once_is_one_write_that_names_the_state_it_leaves() -> None:
    """A statement marked ONCE is a single write, guarded in its WHERE or by a unique key."""
    source = (STORE / "queries.sql").read_text(encoding="utf-8")
    once = re.findall(r"^-- name: (\w+)\n-- ONCE", source, re.MULTILINE)
    assert len(once) >= 10
    for name in once:
        sql = statements()[name]
        # What a delete takes was there: its row is its own guard.
        guarded = (
            sql.startswith("DELETE")
            or "ON CONFLICT DO NOTHING" in sql
            or re.search(r"(AND|WHERE) (\w+\.)?(state|last_step|ended_at|at)\b", sql)
        )
        assert guarded, name
        assert len(re.findall(r"(?<!DO )\b(INSERT|UPDATE|DELETE)\b", sql)) == 1, name


def test_a_name_given_twice_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "queries.sql").write_text("-- name: a\nSELECT 1;\n\n-- name: a\nSELECT 2;\n")
    monkeypatch.setattr(module, "files", lambda _package: tmp_path)
    statements.cache_clear()
    try:
        with pytest.raises(ValueError, match="twice"):
            statements()
    finally:
        statements.cache_clear()
