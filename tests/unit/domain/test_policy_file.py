"""The policy file: what it may say, and that every mistake is refused with its line and its reason (semantics 9)."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from leverlock.domain.action import UNKNOWN
from leverlock.domain.actions import ACTIONS, PUBLIC_ACTIONS
from leverlock.domain.policy import Condition, must_have_rule
from leverlock.domain.policy_file import PolicyError, load_policy
from leverlock.domain.requirement import Requirement

from .samples import least
from .shipped import SOURCES

BASE = SOURCES["literal"]
BASE_LINES = BASE.count("\n")
GATED = sorted(row.name for row in ACTIONS.values() if must_have_rule(row))
FLOORED = sorted(row.name for row in ACTIONS.values() if row.floor is not None)
OPENABLE = sorted(set(GATED) - set(FLOORED))


def refused(source: str) -> PolicyError:
    with pytest.raises(PolicyError) as raised:
        load_policy(source)
    assert str(raised.value) == f"line {raised.value.line}: {raised.value.reason}"
    return raised.value


def with_rule(*lines: str) -> str:
    """The shipped file with one rule more. Its `[[rule]]` stands on line BASE_LINES + 1, `lines` follow."""
    return BASE + "\n".join(["[[rule]]", *lines]) + "\n"


def without(action: str) -> str:
    """The shipped file without the rule of one action."""
    head, *rules = BASE.split("[[rule]]\n")
    kept = [rule for rule in rules if f'action = "{action}"\n' not in rule]
    assert len(kept) == len(rules) - 1 or action not in PUBLIC_ACTIONS
    return "[[rule]]\n".join([head, *kept])


NAME, ORDERS, TOTP = 'name = "mine"', 'action = "futures.order.place"', 'require = ["totp"]'


def condition(when: str) -> Condition:
    rule = load_policy(with_rule(NAME, ORDERS, f"when = {{ {when} }}", TOTP)).rules[-1]
    (only,) = rule.conditions
    return only


# --- what it may say --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "meant"),
    [
        ("leverage = { above = 50 }", Condition("leverage", above=50)),
        ("leverage = { below = 5 }", Condition("leverage", below=5)),
        ("leverage = { above = 5, below = 50 }", Condition("leverage", above=5, below=50)),
        ("leverage = 125", Condition("leverage", choices=frozenset({125}))),
        ("leverage = 125.0", Condition("leverage", choices=frozenset({125}))),
        ("leverage = { one_of = [100, 125] }", Condition("leverage", choices=frozenset({100, 125}))),
        ("quantity = { above = 0.1 }", Condition("quantity", above=Decimal("0.1"))),
        ("quantity = { above = 1e3 }", Condition("quantity", above=1000)),
        ('symbol = "这是测试币456"', Condition("symbol", choices=frozenset({"这是测试币456"}))),
        ('margin_mode = { is = "CROSSED" }', Condition("margin_mode", choices=frozenset({"CROSSED"}))),
        ("reduces_risk = false", Condition("reduces_risk", choices=frozenset({False}))),
        ("reduce_only = { one_of = [true, false] }", Condition("reduce_only", choices=frozenset({True, False}))),
    ],
)
def test_conditions(when: str, meant: Condition) -> None:
    assert condition(when) == meant


def test_a_decimal_threshold_is_exact() -> None:
    """0.1 is a tenth, not the binary fraction next to it."""
    assert condition("quantity = { above = 0.1 }").holds({"quantity": Decimal("0.1")}) is False
    assert condition("quantity = { above = 0.1 }").holds({"quantity": Decimal("0.1000000000000000000001")}) is True
    assert condition("quantity = { above = 0.1 }").holds({"quantity": UNKNOWN}) is True


def test_dotted_keys_and_subtables_say_the_same() -> None:
    inline = load_policy(with_rule(NAME, ORDERS, "when = { leverage = { above = 50 } }", TOTP))
    dotted = load_policy(with_rule(NAME, ORDERS, "when.leverage.above = 50", TOTP))
    table = load_policy(with_rule(NAME, ORDERS, TOTP, "[rule.when]", "leverage = { above = 50 }"))
    assert inline.rules == dotted.rules == table.rules


def test_the_version_is_that_of_the_very_text() -> None:
    assert load_policy(BASE).version == hashlib.sha256(BASE.encode()).hexdigest()[:32]
    assert load_policy(BASE + "# a remark\n").version != load_policy(BASE).version
    assert load_policy(BASE).text == BASE


def test_settings() -> None:
    assert load_policy("require_enrolment = true\n" + BASE).require_enrolment is True
    assert load_policy(BASE).require_enrolment is False
    assert load_policy(BASE).name == "literal"


@pytest.mark.parametrize("proofs", ['"totp"', '"password"', '"totp", "password"', '"password", "totp", "totp"'])
def test_requirements(proofs: str) -> None:
    rule = load_policy(with_rule(NAME, ORDERS, f"require = [{proofs}]")).rules[-1]
    assert rule.requirement == Requirement.of(*proofs.replace('"', "").split(", "))


# --- gaps and what is left open ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", GATED)
def test_a_gated_action_without_a_rule_is_refused(action: str) -> None:
    problem = refused(without(action))
    assert repr(action) in problem.reason
    assert "no rule for the gated action" in problem.reason
    assert problem.line == without(action).count("\n") + 1


def test_an_empty_policy_is_refused() -> None:
    assert "no rule for the gated action" in refused('name = "open"\n').reason


@pytest.mark.parametrize("action", OPENABLE)
def test_what_stays_open_must_be_said(action: str) -> None:
    loaded = load_policy(f'unsafe_allow = ["{action}"]\n' + without(action))
    assert loaded.unsafe_allow == {action}
    assert all(rule.action != action for rule in loaded.rules)


@pytest.mark.parametrize("action", FLOORED)
def test_what_has_a_floor_cannot_be_left_open(action: str) -> None:
    problem = refused(f'\nunsafe_allow = ["{action}"]\n' + without(action))
    assert problem.reason == f"unsafe_allow: {action!r} cannot be left open"
    assert problem.line == 2


@pytest.mark.parametrize("action", [*sorted(ACTIONS.keys() - set(GATED) - set(FLOORED)), "no.such.action", ""])
def test_only_a_gated_action_can_be_left_open(action: str) -> None:
    problem = refused(f'unsafe_allow = [\n  "{action}",\n]\n' + BASE)
    assert problem.reason == f"unsafe_allow: {action!r} is no gated action"
    assert problem.line == 1


def test_a_floor_is_a_rule() -> None:
    """What the action table demands needs no line in the file; a line adds to it."""
    assert not set(FLOORED) & set(GATED)
    for action in FLOORED:
        assert load_policy(without(action)).requirement(least(ACTIONS[action])) == ACTIONS[action].floor


@pytest.mark.parametrize(("written", "meant"), [('["sms"]', {"sms"}), ("[]", set()), ('["sms", "sms"]', {"sms"})])
def test_backups(written: str, meant: set[str]) -> None:
    rule = load_policy(with_rule(NAME, ORDERS, TOTP, f"backup = {written}")).rules[-1]
    assert rule.requirement == Requirement.of("totp", backups=meant)


@pytest.mark.parametrize("action", FLOORED)
def test_a_rule_cannot_lower_a_floor(action: str) -> None:
    """A file that asks for less than the action table: the floor is joined in at every decision."""
    lax = load_policy(without(action) + f'[[rule]]\nname = "lax"\naction = "{action}"\nrequire = ["totp"]\n')
    demanded = lax.requirement(least(ACTIONS[action]))
    assert demanded is not None
    assert demanded.covers(ACTIONS[action].floor)


# --- every mistake, with its line -------------------------------------------------------------------------------------

# What is written beneath [[rule]], which of these lines is named (0: the [[rule]] itself), and a part of the reason.
RULE_MISTAKES = {
    "no name": ([ORDERS, TOTP], 0, 'a rule needs name = "…"'),
    "an empty name": (['name = ""', ORDERS, TOTP], 1, "a rule needs name"),
    "a name that is a number": ([ORDERS, "name = 5", TOTP], 2, "a rule needs name"),
    "a name taken": (['name = "margin mode"', ORDERS, TOTP], 1, "a second rule is called 'margin mode'"),
    "no action": ([NAME, TOTP], 0, "a rule needs action"),
    "an unknown action": ([NAME, 'action = "futures.order"', TOTP], 2, "unknown action 'futures.order'"),
    "an action in other letters": ([NAME, 'action = "Futures.Order.Place"', TOTP], 2, "unknown action"),
    "a bundle": ([NAME, 'action = "futures.order.place_batch"', TOTP], 2, "write the rule for 'futures.order.place'"),
    "an unknown key": ([NAME, ORDERS, "", 'requires = ["totp"]', TOTP], 4, "unknown key 'requires'"),
    "an empty key": ([NAME, ORDERS, TOTP, '"" = 1'], 4, "unknown key ''"),
    "no requirement": ([NAME, ORDERS], 0, "a rule needs require"),
    "a backup of no kind": ([NAME, ORDERS, TOTP, 'backup = ["mail"]'], 4, "backup takes a list of sms"),
    "a backup in no list": ([NAME, ORDERS, TOTP, 'backup = "sms"'], 4, "backup takes a list of sms"),
    "a backup that is no word": ([NAME, ORDERS, TOTP, "backup = [[]]"], 4, "backup takes a list of sms"),
    "a backup for nothing": ([NAME, ORDERS, 'require = ["password"]', 'backup = ["sms"]'], 4, "has to require totp"),
    "an empty requirement": ([NAME, ORDERS, "require = []"], 3, "an empty requirement is refused"),
    "a requirement in no list": ([NAME, ORDERS, 'require = "totp"'], 3, "a rule needs require"),
    "an unknown proof": ([NAME, ORDERS, 'require = ["totp", "sms"]'], 3, "require knows totp, password"),
    "a proof in other letters": ([NAME, ORDERS, 'require = ["TOTP"]'], 3, "require knows"),
    "a proof that is a number": ([NAME, ORDERS, "require = [1]"], 3, "require knows"),
    "a proof that is a list": ([NAME, ORDERS, 'require = [["totp"]]'], 3, "require knows"),
    "conditions in no table": ([NAME, ORDERS, "when = true", TOTP], 3, "when takes a table"),
    "an unknown attribute": ([NAME, ORDERS, "when = { size = 1 }", TOTP], 3, "has no attribute 'size' (it has: "),
    "an attribute of another action": ([NAME, ORDERS, "when.raises = true", TOTP], 3, "has no attribute 'raises'"),
    "an attribute of an action without any": (
        [NAME, 'action = "spot.authenticator.replace"', "when = { a = 1 }", TOTP],
        3,
        "(it has: none)",
    ),
}

CONDITION_MISTAKES = {
    "an unknown test": ("leverage = { over = 50 }", "takes above, below, is, one_of; got ['over']"),
    "no test": ("leverage = {}", "leverage takes"),
    "a bound for a choice": ('side = { above = "A" }', "side takes is, one_of"),
    "a bound for a text": ("symbol = { below = 1 }", "symbol takes is, one_of"),
    "a bound for a boolean": ("reduce_only = { above = 0 }", "reduce_only takes is, one_of"),
    "equality with a bound": ("leverage = { is = 5, above = 50 }", "is and one_of stand alone"),
    "two equalities": ("leverage = { is = 5, one_of = [5] }", "is and one_of stand alone"),
    "one_of nothing": ("leverage = { one_of = [] }", "one_of takes a list"),
    "one_of no list": ("leverage = { one_of = 5 }", "one_of takes a list"),
    "a text for a number": ('leverage = { above = "50" }', "leverage is of kind integer; '50' is not"),
    "a boolean for a number": ("leverage = { above = true }", "leverage is of kind integer; True is not"),
    "a date for a number": ("leverage = { above = 2026-01-01 }", "leverage is of kind integer"),
    "a list for a number": ("leverage = { above = [50] }", "leverage is of kind integer"),
    "a fraction for a whole number": ("leverage = { above = 50.5 }", "leverage is of kind integer"),
    "not a number": ("leverage = { above = nan }", "expected a number of reasonable size"),
    "infinity": ("leverage = { above = inf }", "expected a number of reasonable size"),
    "minus infinity": ("quantity = { below = -inf }", "expected a number of reasonable size"),
    "a number no memory holds": ("leverage = { above = 1e999999999 }", "expected a number of reasonable size"),
    "a number no decimal holds": ("leverage = { above = 1e9999999999999999999 }", "expected a number of reasonable"),
    "a number too small to mean anything": ("quantity = { above = 1e-999 }", "expected a number of reasonable size"),
    "a number for a boolean": ("reduce_only = 1", "reduce_only is of kind boolean; 1 is not"),
    "a word for a boolean": ('reduces_risk = "false"', "reduces_risk is of kind boolean"),
    "a number for a choice": ("side = 1", "side is of kind choice"),
    "a choice the field does not have": ('margin_mode = "CROSS"', "margin_mode: expected one of CROSSED, ISOLATED"),
    "one such choice among others": ('side = { one_of = ["BUY", "buy"] }', "side: expected one of BUY, SELL"),
    "a text no request can hold": ('symbol = "BTC\\u200bUSDT"', "symbol: expected text without"),
    "an empty text": ('symbol = ""', "symbol: expected 1 to 256 characters"),
    "a table for a value": ("leverage = { is = { a = 1 } }", "leverage is of kind integer"),
}


@pytest.mark.parametrize(("lines", "line", "reason"), RULE_MISTAKES.values(), ids=list(RULE_MISTAKES))
def test_a_mistake_in_a_rule_names_its_line(lines: list[str], line: int, reason: str) -> None:
    problem = refused(with_rule(*lines))
    assert reason in problem.reason
    assert problem.line == BASE_LINES + 1 + line


@pytest.mark.parametrize(("when", "reason"), CONDITION_MISTAKES.values(), ids=list(CONDITION_MISTAKES))
def test_a_mistake_in_a_condition_names_its_line(when: str, reason: str) -> None:
    problem = refused(with_rule(NAME, ORDERS, "# a remark", f"when = {{ {when} }}", TOTP))
    assert reason in problem.reason
    assert problem.line == BASE_LINES + 1 + 4


# The whole file, the line that is named, and a part of the reason.
FILE_MISTAKES = {
    "no name": (BASE.replace('name = "literal"\n', "\n", 1), 1, "a policy needs a name"),
    "an empty name": (BASE.replace('"literal"', '""', 1), 3, "a policy needs a name"),
    "a name that is a number": (BASE.replace('"literal"', "5", 1), 3, "a policy needs a name"),
    "an unknown setting": ("\nrequire_enrollment = true\n" + BASE, 2, "unknown setting 'require_enrollment'"),
    "a setting named as a rule's key is": ("\n\naction = 1\n" + BASE, 3, "unknown setting 'action'"),
    "an unknown table": (BASE + "[rules]\n", BASE_LINES + 1, "unknown setting 'rules'"),
    "an unknown list of tables": (BASE + "\n[[ rules ]]\n", BASE_LINES + 2, "unknown setting 'rules'"),
    "require_enrolment as a word": ('require_enrolment = "yes"\n' + BASE, 1, "takes true or false"),
    "require_enrolment as a number": ("\nrequire_enrolment = 1\n" + BASE, 2, "takes true or false"),
    "unsafe_allow as a word": ('unsafe_allow = "futures.order.place"\n' + BASE, 1, "takes a list of action names"),
    "unsafe_allow of numbers": ("\nunsafe_allow = [1]\n" + BASE, 2, "takes a list of action names"),
    "unsafe_allow of everything": ('unsafe_allow = ["*"]\n' + BASE, 1, "'*' is no gated action"),
    "rules in single brackets": ('name = "x"\n\n[rule]\n' + NAME, 3, "rules are written as [[rule]]"),
    "rules that are no tables": ('name = "x"\nrule = [1]\n', 2, "rules are written as [[rule]]"),
    "rules that are a word": ('name = "x"\nrule = "none"\n', 2, "rules are written as [[rule]]"),
    "a faulty rule written inline": ('name = "x"\nrule = [{ name = "a" }]\n', 2, "a rule needs action"),
    "broken syntax": (BASE + "[[rule]]\nname = \n", BASE_LINES + 2, ""),
    "a key twice": (BASE.replace("name = ", 'name = "a"\nname = ', 1), 4, ""),
    "a list that does not end": (BASE + "[[rule]]\nrequire = [\n", BASE_LINES + 3, ""),
    "a whole number of 5,000 digits": (BASE + f"x = {'9' * 5000}\n", BASE_LINES + 2, ""),
    "nesting without end": ("x = " + "[" * 100_000, 1, ""),
}


@pytest.mark.parametrize(("source", "line", "reason"), FILE_MISTAKES.values(), ids=list(FILE_MISTAKES))
def test_a_mistake_in_the_file_names_its_line(source: str, line: int, reason: str) -> None:
    problem = refused(source)
    assert reason in problem.reason
    assert problem.line == line


def test_lines_are_counted_as_editors_count_them() -> None:
    """A line separator inside a comment, or the end of a line as Windows writes it, moves nothing."""
    wrong = with_rule(NAME, ORDERS, "when = { size = 1 }", TOTP)
    assert refused(wrong.replace("\n", "\r\n")).line == refused(wrong).line
    assert refused(f"# one\u2028[[rule]]\u0085\n{wrong}").line == refused(wrong).line + 1


@pytest.mark.parametrize("keep", range(0, len(BASE), 97))
def test_a_file_cut_anywhere_is_refused(keep: int) -> None:
    """Half a policy is never in force."""
    refused(BASE[:keep])


@pytest.mark.bar("B24")
@pytest.mark.mission("M22")
@pytest.mark.parametrize("word", ["security_key", "movement", "wallet"])
def test_a_rule_cannot_make_an_order_ask_for_a_key(word: str) -> None:
    """What only movements are proved with is required by no other rule, whatever a file says."""
    problem = refused(with_rule(NAME, ORDERS, f'require = ["totp", "{word}"]'))
    assert problem.reason.startswith(f"'{word}' is no proof")


@pytest.mark.bar("B24")
def test_nor_a_movement_for_a_key_by_its_name() -> None:
    """Whether it is a key that a movement takes is for the account to tell, not for a file."""
    refused(with_rule(NAME, 'action = "futures.withdraw"', 'require = ["wallet", "security_key"]'))
    assert load_policy(with_rule(NAME, 'action = "futures.withdraw"', 'require = ["wallet", "movement"]'))
