"""Named SQL: the acts use every statement of queries.sql, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import leverlock.store
from leverlock.store import statements as module
from leverlock.store.sealed_columns import SEALED
from leverlock.store.statements import statements

STORE = Path(leverlock.store.__file__).parent
ACTS = [*sorted(STORE.glob("acts_*.py")), STORE / "transaction.py", STORE / "sqlite.py"]
SEALS = STORE / "acts_upkeep.py"
CURSOR = {"all", "one", "write"}


def named_in_code() -> set[str]:
    """Every statement that the acts name. A cursor's must exist; elsewhere a name counts where it is handed on first,
    chosen between two, or a key of the table that `prune` walks over. One made of a table's name is made here too."""
    called: set[str] = set()
    handed: set[str] = set()
    for path in ACTS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=act), args=[ast.Constant(value=str(name)), *_]):
                    (called if act in CURSOR else handed).add(name)
                case ast.Call(args=[ast.JoinedStr(values=[ast.Constant(value=str(kind)), _]), *_]) if path == SEALS:
                    called |= {f"{kind}{table}" for table in SEALED}
                case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))):
                    handed |= {one, other}
                case ast.Dict(keys=keys):
                    names = {key.value for key in keys if isinstance(key, ast.Constant)}
                    handed |= {name for name in names if name.startswith("prune_")}
    return called | (handed & set(statements()))


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
            or re.search(r"(AND|WHERE) (\w+\.)?(state|last_step|ended_at|at|legacy|role)\b", sql)
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
