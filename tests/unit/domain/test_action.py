"""Actions: the parser's refusals, the canonical form and what it binds (B41, B42, B43)."""

from __future__ import annotations

import hashlib
import json
import random
from decimal import Decimal
from typing import Any

import pytest

from leverlock.domain.action import MAX_LEGS, UNKNOWN, Action, ActionType, Intent, bundle, digest_of, parse
from leverlock.domain.actions import ACTIONS, action_type
from leverlock.domain.environment import MARKETS
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.trading_actions import AMEND_BATCH, LEVERAGE_SET, ORDER_BATCH, ORDER_CANCEL, ORDER_PLACE
from leverlock.domain.values import Kind

from .samples import full_fields, least, least_fields, values
from .vectors import vectors

SIMPLE = [row for row in ACTIONS.values() if row.legs is None]
each_type = pytest.mark.parametrize("row", SIMPLE, ids=lambda row: row.name)
FORMS = vectors("canonical")["form"]
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "50000"}


def intent(action: Action, account: str = "a", principal: str = "key:k", target: str = "t") -> Intent:
    return Intent(account, principal, target, action)


def digest(action: Action, **who: str) -> bytes:
    return digest_of(intent(action, **who).canonical())


def refusal(row: ActionType, fields: dict[str, Any], facts: dict[str, str] | None = None) -> Refused:
    with pytest.raises(Refused) as raised:
        parse(row, fields, facts)
    assert raised.value.reason is Reason.MALFORMED
    return raised.value


# --- the canonical form -----------------------------------------------------------------------------------------------


def built(form: dict[str, Any]) -> Action:
    row = action_type(form["action"])
    if row.legs is None:
        return parse(row, form["fields"], form["facts"])
    return bundle(row, tuple(parse(row.legs, leg["fields"], leg["facts"]) for leg in form["legs"]))


@pytest.mark.bar("B41")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["name"])
def test_the_bytes_of_version_1_are_pinned(form: dict[str, Any]) -> None:
    canonical = Intent(form["account"], form["principal"], form["target"], built(form)).canonical()
    assert canonical == form["bytes"].encode()
    assert digest_of(canonical).hex() == form["sha256"] == hashlib.sha256(form["bytes"].encode()).hexdigest()


@pytest.mark.bar("B41")
@each_type
def test_parsing_its_own_canonical_fields_changes_nothing(row: ActionType) -> None:
    """canonical(parse(x)) is a fixpoint, of the fields and of the bytes."""
    once = parse(row, full_fields(row))
    again = parse(row, once.fields)
    assert again == once
    assert intent(again).canonical() == intent(once).canonical()
    read = json.loads(intent(once).canonical())
    assert parse(action_type(read["action"]), read["fields"]).bound() == once.bound()


@pytest.mark.bar("B41")
@pytest.mark.parametrize("spelling", ["50", "50.0", "5e1", "050", "0050.00", "500e-1"])
def test_spellings_of_one_quantity_have_one_digest(spelling: str) -> None:
    assert digest(parse(ORDER_PLACE, {**ORDER, "quantity": spelling})) == digest(
        parse(ORDER_PLACE, {**ORDER, "quantity": "50"})
    )


@pytest.mark.bar("B41")
def test_the_order_in_which_fields_arrive_means_nothing() -> None:
    chance = random.Random(1)
    names = list(ORDER)
    digests = set()
    for _ in range(50):
        chance.shuffle(names)
        digests.add(digest(parse(ORDER_PLACE, {name: ORDER[name] for name in names})))
    assert len(digests) == 1


@pytest.mark.bar("B41")
@pytest.mark.bar("B42")
@each_type
def test_every_bound_field_is_in_the_digest_and_no_other(row: ActionType) -> None:
    """Each declared field in turn is changed, then left out."""
    fields = full_fields(row)
    original = digest(parse(row, fields))
    for name, field in row.fields.items():
        for other in values(field)[1:]:
            changed = digest(parse(row, {**fields, name: other}))
            assert (changed != original) is field.bound, f"{name} = {other}"
        if not field.required:
            without = {key: value for key, value in fields.items() if key != name}
            assert (digest(parse(row, without)) != original) is field.bound, f"without {name}"


@pytest.mark.bar("B42")
def test_what_is_not_bound_is_only_transport() -> None:
    """The complete list (semantics 4): a field that joins it has to be argued for here."""
    unbound = {f"{row.name}: {name}" for row in SIMPLE for name, field in row.fields.items() if not field.bound}
    assert unbound == {
        "futures.order.place: client_order_id",
        "futures.order.place: response_type",
        "futures.conditional_order.place: client_order_id",
        "futures.conditional_order.place: response_type",
        *(f"{market}.{movement}: client_id" for market in MARKETS for movement in ("withdraw", "transfer_out")),
    }


@pytest.mark.bar("B41")
@pytest.mark.bar("B42")
@pytest.mark.parametrize("who", ["account", "principal", "target"])
def test_who_asks_and_where_is_in_the_digest(who: str) -> None:
    action = parse(ORDER_PLACE, ORDER)
    assert digest(action, **{who: "other"}) != digest(action)


@pytest.mark.bar("B41")
def test_facts_are_not_in_the_digest_but_bound_beside_it() -> None:
    """The same call repeated at another leverage is the same intent; its changed facts void the approval (B51)."""
    at_20, at_75 = (parse(ORDER_PLACE, ORDER, {"leverage": lev}) for lev in ("20", "75"))
    assert digest(at_20) == digest(at_75)
    assert at_20.bound_facts() == b'[{"leverage":"20"}]'
    assert at_75.bound_facts() != at_20.bound_facts() != parse(ORDER_PLACE, ORDER).bound_facts()


@pytest.mark.bar("B41")
@pytest.mark.bar("B42")
def test_the_legs_of_a_bundle_count_in_their_order() -> None:
    first, second = parse(ORDER_PLACE, ORDER), parse(ORDER_PLACE, {**ORDER, "side": "SELL"})
    bundles = [(first, second), (second, first), (first,), (first, first), (first, second, second)]
    digests = {digest(bundle(ORDER_BATCH, legs)) for legs in bundles}
    assert len(digests) == len(bundles)
    assert digest(first) not in digests, "a bundle of one is not the order alone"


@pytest.mark.bar("B42")
def test_a_field_of_any_leg_is_bound() -> None:
    leg = parse(ORDER_PLACE, ORDER)
    unbound = parse(ORDER_PLACE, {**ORDER, "client_order_id": "x"})
    changed = parse(ORDER_PLACE, {**ORDER, "price": "50001"})
    original = digest(bundle(ORDER_BATCH, (leg,) * 5))
    for place in range(5):
        with_changed, with_unbound = ([leg] * 5 for _ in range(2))
        with_changed[place], with_unbound[place] = changed, unbound
        assert digest(bundle(ORDER_BATCH, tuple(with_changed))) != original
        assert digest(bundle(ORDER_BATCH, tuple(with_unbound))) == original


def random_request(chance: random.Random, spelling: random.Random) -> tuple[Intent, Any]:
    """A random intent in a random spelling, and what it means: built beside the parser, from exact numbers.

    `chance` draws the meaning and `spelling` the way it is written: the same `chance` twice means the same twice.
    """

    def one(row: ActionType) -> tuple[Action, Any]:
        fields, meaning = {}, {}
        for name, field in row.fields.items():
            if not field.required and chance.random() < 0.6:
                continue
            value = chance.choice(values(field)[:2])
            meant: Any = value
            if field.kind is Kind.DECIMAL:
                meant = Decimal(value)
                value = spelling.choice([value, "0" + value, value + ("0" if "." in value else ".0"), value + "e0"])
            if field.kind is Kind.BOOLEAN:
                meant, value = value == "true", spelling.choice([value, value.capitalize()])
            if field.bound:
                meaning[name] = meant
            elif spelling.random() < 0.5:
                continue
            fields[name] = value
        shuffled = dict(spelling.sample(sorted(fields.items()), len(fields)))
        return parse(row, shuffled), (row.name, frozenset(meaning.items()))

    row = chance.choice([LEVERAGE_SET, LEVERAGE_SET, ORDER_CANCEL, ORDER_PLACE, ORDER_BATCH, AMEND_BATCH])
    if row.legs is not None:
        parts = [one(row.legs) for _ in range(chance.choice([1, 1, 2]))]
        action, meaning = bundle(row, tuple(part[0] for part in parts)), (row.name, tuple(part[1] for part in parts))
    else:
        action, meaning = one(row)
    who = tuple(chance.choice("ab") for _ in range(3))
    return intent(action, *who), (who, meaning)


@pytest.mark.bar("B41")
def test_equal_digest_exactly_for_equal_meaning() -> None:
    """10,000 random pairs, and through the dictionaries every pair among all 20,000 intents."""
    spelling = random.Random(41)
    by_meaning: dict[Any, bytes] = {}
    by_bytes: dict[bytes, Any] = {}
    equal = 0
    for seed in range(10_000):
        left, left_means = random_request(random.Random(seed), spelling)
        right, right_means = random_request(random.Random(seed + 10_000 * (seed % 3 > 0)), spelling)
        left_bytes, right_bytes = left.canonical(), right.canonical()
        assert (digest_of(left_bytes) == digest_of(right_bytes)) is (left_means == right_means)
        for canonical, meaning in ((left_bytes, left_means), (right_bytes, right_means)):
            assert by_meaning.setdefault(meaning, canonical) == canonical
            assert by_bytes.setdefault(canonical, meaning) == meaning
        equal += left_means == right_means
    assert 3_333 < equal < 5_000, "the sample must hold equal pairs and others"
    assert 1_000 < len(by_bytes) == len(by_meaning) < 20_000


@pytest.mark.bar("B41")
def test_no_text_can_break_out_of_its_place() -> None:
    """Values that look like JSON stay values: the canonical form reads back as what was put in."""
    for hostile in ('","target":"x', '"}', "\\", "\\u0022", "{", "','", '{"a":1}'):
        canonical = intent(parse(ORDER_PLACE, {**ORDER, "symbol": hostile}), principal=hostile).canonical()
        read = json.loads(canonical)
        assert read["fields"]["symbol"] == read["principal"] == hostile
        assert sorted(read) == ["account", "action", "environment", "fields", "principal", "target", "version"]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.bar("B43")
@each_type
def test_an_unknown_field_is_refused_by_name(row: ActionType) -> None:
    for unknown in ("leverage_", "recvWindow", "Symbol", "symbol ", "__class__", "", "x" * 1_000):
        problem = refusal(row, {**full_fields(row), unknown: "1"})
        assert problem.field == unknown[:64]
        assert len(problem.detail) < 100


@pytest.mark.bar("B43")
@each_type
def test_a_missing_field_is_refused_by_name(row: ActionType) -> None:
    fields = full_fields(row)
    for name in [name for name, field in row.fields.items() if field.required]:
        assert refusal(row, {key: value for key, value in fields.items() if key != name}).field == name


WRONG = {
    Kind.TEXT: ["", "a\u202eb", "e\u0301", "x" * 4000, "a\nb"],
    Kind.DECIMAL: ["", "NaN", "inf", "-1", "1e99", "５０", "1\n", "9" * 41],
    Kind.INTEGER: ["", "NaN", "-1", "5e1", "050", "50.0", "५०", "9" * 19],
    Kind.BOOLEAN: ["", "TRUE", "1", "yes"],
    Kind.CHOICE: ["", "NO_SUCH_CHOICE", "buy"],
}


@pytest.mark.bar("B43")
@each_type
def test_a_wrong_value_is_refused_by_the_name_of_its_field(row: ActionType) -> None:
    for name, field in row.fields.items():
        for wrong in WRONG[field.kind]:
            problem = refusal(row, {**full_fields(row), name: wrong})
            assert problem.field == name, wrong
            assert not wrong or wrong not in problem.detail, "a refusal does not repeat the value"


@pytest.mark.bar("B43")
@each_type
def test_a_wrong_fact_is_refused_as_a_field_is(row: ActionType) -> None:
    assert refusal(row, full_fields(row), {"no_such_fact": "1"}).field == "no_such_fact"
    for name, spec in row.facts.items():
        for wrong in WRONG[spec.kind]:
            assert refusal(row, full_fields(row), {name: wrong}).field == name


@pytest.mark.bar("B69")
def test_the_enums_of_an_order_are_closed() -> None:
    """A new word of the venue is refused until somebody has judged it, in every leg too."""
    for name, unknown in {"type": "TWAP", "side": "SHORT", "time_in_force": "RPI", "position_side": "NET"}.items():
        assert refusal(ORDER_PLACE, {**ORDER, name: unknown}).field == name


@pytest.mark.bar("B70")
def test_an_order_cannot_bring_its_own_leverage() -> None:
    """Leverage is a fact of the venue: as a field it is unknown, and unknown fields are refused."""
    assert refusal(ORDER_PLACE, {**ORDER, "leverage": "1"}).field == "leverage"
    assert parse(ORDER_PLACE, ORDER).attributes["leverage"] is UNKNOWN


@pytest.mark.bar("B69")
def test_a_bundle_takes_one_to_five_legs_of_its_own_type() -> None:
    leg, cancel = parse(ORDER_PLACE, ORDER), parse(ORDER_CANCEL, {"scope": "all"})
    for count in range(1, MAX_LEGS + 1):
        assert len(bundle(ORDER_BATCH, (leg,) * count).parts) == count
    for legs in ((), (leg,) * (MAX_LEGS + 1), (cancel,), (leg, cancel), (bundle(ORDER_BATCH, (leg,)),)):
        with pytest.raises(Refused) as raised:
            bundle(ORDER_BATCH, legs)
        assert (raised.value.reason, raised.value.field) == (Reason.MALFORMED, "legs")
    with pytest.raises(Refused, match="does not take"):
        bundle(AMEND_BATCH, (leg,))
    with pytest.raises(Refused, match="does not take"):
        bundle(ORDER_PLACE, (leg,))
    assert refusal(ORDER_BATCH, {}).field == "legs"


@pytest.mark.parametrize("name", ["", "futures.order", "futures.order.place ", "FUTURES.ORDER.PLACE", "x" * 10_000])
def test_an_unknown_action_is_refused(name: str) -> None:
    with pytest.raises(Refused) as raised:
        action_type(name)
    assert raised.value.reason is Reason.UNKNOWN_ACTION
    assert len(raised.value.detail) < 100


# --- attributes -------------------------------------------------------------------------------------------------------


def test_attributes_are_typed_and_unknown_facts_say_so() -> None:
    order = parse(ORDER_PLACE, {**ORDER, "reduce_only": "false"}, {"margin_mode": "CROSSED"})
    assert dict(order.attributes) == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": Decimal(1),
        "price": Decimal(50000),
        "reduce_only": False,
        "leverage": UNKNOWN,
        "margin_mode": "CROSSED",
        "reduces_risk": False,
    }


@each_type
def test_every_attribute_a_rule_may_name_is_one_the_action_has(row: ActionType) -> None:
    facts = {name: values(spec)[0] for name, spec in row.facts.items()}
    assert set(parse(row, full_fields(row), facts).attributes) == set(row.attributes)
    assert not set(row.fields) & set(row.facts), "a field and a fact of one name would hide each other"


@each_type
def test_some_attributes_are_what_they_are_among_all(row: ActionType) -> None:
    facts = {name: values(spec)[0] for name, spec in row.facts.items()}
    for known in (facts, {}):
        action = parse(row, full_fields(row), known)
        for name, value in action.attributes.items():
            assert action.attributes_of([name])[name] == value
    assert not action.attributes_of(["no_such_attribute"])


def test_the_table_is_keyed_by_its_own_names() -> None:
    assert all(name == row.name == action_type(name).name for name, row in ACTIONS.items())
    assert all(name.startswith(f"{row.environment}.") for name, row in ACTIONS.items())
    assert all(least(row).parts for row in ACTIONS.values())
    assert all(least_fields(row).keys() <= full_fields(row).keys() for row in SIMPLE)
