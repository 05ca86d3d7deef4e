"""The policy file: TOML into a `Policy`, or an error that names the line and the reason.

name = "literal"

[[rule]]
name = "orders above 50x"
action = "futures.order.place"
when = { leverage = { above = 50 } }
require = ["totp"]
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from leverlock.domain.action import ActionType, AttributeValue
from leverlock.domain.actions import ACTIONS
from leverlock.domain.policy import Condition, Policy, Rule, must_have_rule
from leverlock.domain.requirement import Backup, ProofKind, Requirement
from leverlock.domain.values import MAX_NUMBER, Field, Kind, ValueRefused

# Security keys serve movements and their own removal, whatever a file says (M22, B24).
NOT_FOR_ALL: Final = frozenset({ProofKind.WALLET, ProofKind.MOVEMENT, ProofKind.SECURITY_KEY})

_NUMERIC: Final = frozenset({Kind.INTEGER, Kind.DECIMAL})
_TOP: Final = frozenset({"name", "rule", "require_enrolment", "unsafe_allow"})
_RULE: Final = frozenset({"name", "action", "when", "require", "backup"})


class PolicyError(ValueError):
    """A policy file was refused. `line` is where to look, counted from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line


def load_policy(source: str, *, whole: bool = True) -> Policy:
    """The policy that `source` describes. Raises PolicyError; nothing is ever skipped or defaulted to open.

    Not `whole`: one that was in force before this release is read to be compared with. It may say nothing about
    actions that are new, and must not be decided with.
    """
    try:
        document = tomllib.loads(source, parse_float=_number)
    except (ValueError, RecursionError) as problem:  # tomllib's own errors, and numbers or nesting beyond Python's
        found = re.search(r"line (\d+)", str(problem))
        raise PolicyError(str(problem), int(found[1]) if found else source.count("\n") + 1) from None
    where = _Lines(source)
    for key in document:
        if key not in _TOP:
            raise PolicyError(f"unknown setting {key!r}", where.top(key))
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise PolicyError("a policy needs a name", where.top("name"))
    require_enrolment = document.get("require_enrolment", False)
    if not isinstance(require_enrolment, bool):
        raise PolicyError("require_enrolment takes true or false", where.top("require_enrolment"))
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PolicyError("rules are written as [[rule]]", where.top("rule"))
    rules = tuple(_rule(table, index, where) for index, table in enumerate(tables))
    _refuse_doubles(rules, where)
    unsafe = _unsafe(document.get("unsafe_allow", []), where)
    if whole:
        _refuse_gaps(rules, unsafe, source)
    version = hashlib.sha256(source.encode()).hexdigest()[:32]
    return Policy(name, version, rules, require_enrolment, unsafe, source)


def rule_lines(source: str) -> list[int]:
    """Where each rule of a policy file starts, counted from 1, in the order of `Policy.rules`."""
    where = _Lines(source)
    return [where.start(index) for index in range(len(load_policy(source).rules))]


def _refuse_doubles(rules: tuple[Rule, ...], where: _Lines) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.name in seen:
            raise PolicyError(f"a second rule is called {rule.name!r}", where.rule(index, "name"))
        seen.add(rule.name)


def _refuse_gaps(rules: tuple[Rule, ...], unsafe: frozenset[str], source: str) -> None:
    ruled = {rule.action for rule in rules}
    for action in ACTIONS.values():
        if must_have_rule(action) and action.name not in ruled | unsafe:
            raise PolicyError(
                f"no rule for the gated action {action.name!r}; "
                f'write one, or leave it open with unsafe_allow = ["{action.name}"]',
                source.count("\n") + 1,
            )


def _unsafe(names: Any, where: _Lines) -> frozenset[str]:
    line = where.top("unsafe_allow")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PolicyError("unsafe_allow takes a list of action names", line)
    for name in names:
        action = ACTIONS.get(name)
        if action is not None and action.floor is not None:
            raise PolicyError(f"unsafe_allow: {name!r} cannot be left open", line)
        if action is None or not must_have_rule(action):
            raise PolicyError(f"unsafe_allow: {name!r} is no gated action", line)
    return frozenset(names)


def _rule(table: Mapping[str, Any], index: int, where: _Lines) -> Rule:
    for key in table:
        if key not in _RULE:
            raise PolicyError(f"unknown key {key!r} in a rule", where.rule(index, key))
    for key in ("name", "action"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise PolicyError(f'a rule needs {key} = "…"', where.rule(index, key))
    action = ACTIONS.get(table["action"])
    if action is None:
        raise PolicyError(f"unknown action {table['action']!r}", where.rule(index, "action"))
    if action.legs is not None:
        raise PolicyError(
            f"{action.name!r} is judged leg by leg; write the rule for {action.legs.name!r}",
            where.rule(index, "action"),
        )
    when = table.get("when", {})
    line = where.rule(index, "when")
    if not isinstance(when, dict):
        raise PolicyError("when takes a table of conditions", line)
    declared = {**action.fields, **action.facts} | {name: Field(kind) for name, kind in action.derived.items()}
    conditions: list[Condition] = []
    for attribute, test in when.items():
        if attribute not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise PolicyError(f"{action.name!r} has no attribute {attribute!r} (it has: {known})", line)
        conditions.append(_condition(attribute, declared[attribute], test, line))
    demanded = _requirement(table, index, where, action)
    if not demanded.backups <= action.backups:
        raise PolicyError(f"{action.name!r} takes no backup in place of the code", where.rule(index, "backup"))
    return Rule(table["name"], action.name, demanded, tuple(conditions))


def _requirement(table: Mapping[str, Any], index: int, where: _Lines, action: ActionType) -> Requirement:
    line = where.rule(index, "require")
    words = table.get("require")
    if not isinstance(words, list) or not words:
        raise PolicyError('a rule needs require = ["totp"]; an empty requirement is refused', line)
    try:
        demanded = Requirement.of(*words)
    except ValueError:
        known = ", ".join(kind.value for kind in ProofKind)
        raise PolicyError(f"require knows {known}; got {words!r}", line) from None
    floor = action.floor.proofs if action.floor is not None else frozenset()
    for kind in sorted(demanded.proofs & NOT_FOR_ALL - floor):
        raise PolicyError(f"{kind.value!r} is no proof that a rule for {action.name!r} may require", line)
    backups = table.get("backup", [])
    line = where.rule(index, "backup")
    known = ", ".join(backup.value for backup in Backup)
    if not isinstance(backups, list) or any(word not in [*Backup] for word in backups):
        raise PolicyError(f"backup takes a list of {known}; got {backups!r}", line)
    if backups and ProofKind.TOTP not in demanded.proofs:
        raise PolicyError("a backup stands in for the code, so the rule has to require totp", line)
    return Requirement.of(*words, backups=backups)


def _condition(attribute: str, declared: Field, test: Any, line: int) -> Condition:
    tests = test if isinstance(test, dict) else {"is": test}
    allowed = {"is", "one_of", "above", "below"} if declared.kind in _NUMERIC else {"is", "one_of"}
    unknown = set(tests) - allowed
    if unknown or not tests:
        raise PolicyError(f"{attribute} takes {', '.join(sorted(allowed))}; got {sorted(unknown)}", line)
    if {"is", "one_of"} & set(tests):
        if len(tests) > 1:
            raise PolicyError(f"{attribute}: is and one_of stand alone", line)
        wanted = [tests["is"]] if "is" in tests else tests["one_of"]
        if not isinstance(wanted, list) or not wanted:
            raise PolicyError(f"{attribute}: one_of takes a list", line)
        return Condition(attribute, choices=frozenset(_value(attribute, declared, item, line) for item in wanted))
    bounds = {name: _value(attribute, declared, bound, line) for name, bound in tests.items()}
    return Condition(attribute, above=bounds.get("above"), below=bounds.get("below"))  # type: ignore[arg-type]


def _value(attribute: str, declared: Field, value: Any, line: int) -> AttributeValue:
    """`value` as the condition compares it. One that no request could ever hold is refused, not kept as a dead rule."""
    kind = declared.kind
    if kind in _NUMERIC and isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        if not number.is_finite() or abs(number.adjusted()) > MAX_NUMBER:
            raise PolicyError(f"{attribute}: expected a number of reasonable size", line)
        if number == number.to_integral_value():
            return int(number)
        if kind is Kind.DECIMAL:
            return number
    if kind is Kind.BOOLEAN and isinstance(value, bool):
        return value
    if kind in (Kind.TEXT, Kind.CHOICE) and isinstance(value, str):
        try:
            return declared.canonical(value)
        except ValueRefused as problem:
            raise PolicyError(f"{attribute}: {problem}", line) from None
    raise PolicyError(f"{attribute} is of kind {kind}; {value!r} is not", line)


def _number(written: str) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:  # an exponent beyond any number: refused where it stands, as not finite
        return Decimal("NaN")


class _Lines:
    """Where things stand in the file: TOML's parser does not keep positions, people need them."""

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")
        self._rules = [i for i, text in enumerate(self._lines) if re.match(r"\s*\[\[\s*rule\s*\]\]", text)]
        headers = (i for i, text in enumerate(self._lines) if text.lstrip().startswith("["))
        self._head = next(headers, len(self._lines))  # settings of the file itself stand before the first table

    def top(self, key: str) -> int:
        return self._find(key, 0, self._head) or self._header(key) or 1

    def start(self, index: int) -> int:
        return self._rules[index] + 1 if index < len(self._rules) else 1

    def rule(self, index: int, key: str) -> int:
        if index >= len(self._rules):
            return self.top("rule")
        start = self._rules[index]
        end = self._rules[index + 1] if index + 1 < len(self._rules) else len(self._lines)
        return self._find(key, start, end) or start + 1

    def _find(self, key: str, start: int, end: int) -> int | None:
        return self._first(rf"\s*(\"{re.escape(key)}\"|{re.escape(key)})\s*[=.]", start, end)

    def _header(self, key: str) -> int | None:
        return self._first(rf"\s*\[\[?\s*\"?{re.escape(key)}\b", self._head, len(self._lines))

    def _first(self, pattern: str, start: int, end: int) -> int | None:
        return next((i + 1 for i in range(start, end) if re.match(pattern, self._lines[i])), None)
