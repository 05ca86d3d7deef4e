"""What an SMS says, word for word, in both languages: a golden text per action (B17)."""

from __future__ import annotations

import dataclasses
import re

import pytest

from leverlock.domain.action import Action, Intent, bundle, parse
from leverlock.domain.actions import ACTIONS, PUBLIC_ACTIONS
from leverlock.domain.environment import Environment
from leverlock.domain.limits import MINUTE
from leverlock.domain.messages import Language
from leverlock.domain.policy_file import load_policy
from leverlock.domain.requirement import Backup
from leverlock.domain.sms_text import action_text, code_text, enrolment_text, farewell_text, has_text, size_of
from leverlock.domain.sms_words import CATALOGUE, CHINESE, ENGLISH
from leverlock.domain.trading_actions import AMEND_BATCH, ORDER_AMEND, ORDER_BATCH, ORDER_PLACE
from world import leverage_raise, margin_mode, order, policy_text

CODE = "04711555"
FUTURES = Environment.FUTURES
_AMENDED = parse(
    ORDER_AMEND,
    {"symbol": "BTCUSDT", "side": "SELL", "order_id": "77", "quantity": "2.5", "price": "64000.1"},
    {"leverage": "75", "margin_mode": "CROSSED"},
)
ACTIONS_TOLD: dict[str, Action] = {
    "market order": order(),
    "limit order": order(type="LIMIT", price="61234.5", side="SELL", quantity="0.25", time_in_force="GTC"),
    "reduce-only": order(reduce_only="true", side="SELL"),
    "unknown leverage": order(leverage=None),
    "conditional": parse(
        ACTIONS["futures.conditional_order.place"],
        {"symbol": "ETHUSDT", "side": "SELL", "type": "STOP_MARKET", "trigger_price": "2500", "close_position": "true"},
        {"leverage": "100", "margin_mode": "ISOLATED"},
    ),
    "conditional limit": parse(
        ACTIONS["futures.conditional_order.place"],
        {"symbol": "ETHUSDT", "side": "BUY", "type": "STOP", "trigger_price": "2500", "price": "2510", "quantity": "3"},
        {"leverage": "100", "margin_mode": "ISOLATED"},
    ),
    "amendment": _AMENDED,
    "batch": bundle(ORDER_BATCH, (order(), order(symbol="ETHUSDT", side="SELL", quantity="10"))),
    "batch of amendments": bundle(AMEND_BATCH, (_AMENDED, _AMENDED)),
    "leverage": leverage_raise(125),
    "margin mode": margin_mode("CROSSED"),
    "multi-assets": parse(
        ACTIONS["futures.multi_assets.set"], {"multi_assets": "true"}, {"current_multi_assets": "false"}
    ),
}
GOLDEN: dict[str, tuple[str, str]] = {
    "market order": (
        "Acme Futures: BUY 1 BTCUSDT market, 75x. Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:买入1 BTCUSDT 市价单,杠杆75倍。验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "limit order": (
        "Acme Futures: SELL 0.25 BTCUSDT limit at 61234.5, 75x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:卖出0.25 BTCUSDT 限价单,价格61234.5,杠杆75倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "reduce-only": (
        "Acme Futures: SELL 1 BTCUSDT market, reduce-only, 75x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:卖出1 BTCUSDT 市价单,只减仓,杠杆75倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "unknown leverage": (
        "Acme Futures: BUY 1 BTCUSDT market, leverage unknown."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:买入1 BTCUSDT 市价单,杠杆未知。验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "conditional": (
        "Acme Futures: SELL the whole position ETHUSDT stop market when 2500, 100x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:卖出全部仓位 ETHUSDT 市价止损单,触发价2500,杠杆100倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "conditional limit": (
        "Acme Futures: BUY 3 ETHUSDT stop limit when 2500 at 2510, 100x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:买入3 ETHUSDT 限价止损单,触发价2500,价格2510,杠杆100倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "amendment": (
        "Acme Futures: change SELL order: 2.5 BTCUSDT at 64000.1, 75x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:修改卖出单:2.5 BTCUSDT,价格64000.1,杠杆75倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "batch": (
        "Acme Futures: 2 together: BUY 1 BTCUSDT market, 75x; SELL 10 ETHUSDT market, 75x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:共2笔:买入1 BTCUSDT 市价单,杠杆75倍; 卖出10 ETHUSDT 市价单,杠杆75倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "batch of amendments": (
        "Acme Futures: 2 together: change SELL order: 2.5 BTCUSDT at 64000.1, 75x;"
        " change SELL order: 2.5 BTCUSDT at 64000.1, 75x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:共2笔:修改卖出单:2.5 BTCUSDT,价格64000.1,杠杆75倍; 修改卖出单:2.5 BTCUSDT,价格64000.1,杠杆75倍。"
        "验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "leverage": (
        "Acme Futures: set leverage of BTCUSDT to 125x."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:BTCUSDT杠杆调至125倍。验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "margin mode": (
        "Acme Futures: switch margin mode of BTCUSDT to cross."
        " Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:BTCUSDT保证金模式切换为全仓。验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
    "multi-assets": (
        "Acme Futures: switch multi-assets mode on. Code 04711555, for this alone, 5 min. Not you? Deny it at once.",
        "Acme合约:开启联合保证金模式。验证码04711555,仅限本次操作,5分钟内有效。非本人操作请立即拒绝。",
    ),
}


def told(action: Action, language: Language, *, host: str = "futures.example.com") -> str:
    intent = Intent("acc_x", "key:k", "up_x", action)
    return code_text(
        action=action_text(intent.canonical(), action.bound_facts(), language=language),
        environment=FUTURES,
        code=CODE,
        life_ms=5 * MINUTE,
        issuer="Acme",
        host=host,
        language=language,
    )


@pytest.mark.bar("B17")
@pytest.mark.parametrize("name", ACTIONS_TOLD)
@pytest.mark.parametrize("language", Language)
def test_the_text_of_each_action_word_for_word(name: str, language: Language) -> None:
    golden = GOLDEN[name][list(Language).index(language)]
    assert told(ACTIONS_TOLD[name], language) == f"{golden}\n@futures.example.com #04711555"


@pytest.mark.bar("B17")
def test_every_action_that_sms_may_approve_has_its_golden_text() -> None:
    """What a policy may let SMS stand in for, and what the shipped ones do: each is told, and each text is pinned."""
    may = {name for name, action in PUBLIC_ACTIONS.items() if Backup.SMS in action.backups}
    pinned = {action.type.name for action in ACTIONS_TOLD.values() if action.type.legs is None}
    assert may == pinned == {name for name in ACTIONS if has_text(name)}
    for policy in ("literal", "trader"):
        ruled = {rule.action for rule in load_policy(policy_text(policy)).rules if rule.requirement.backups}
        assert ruled == may
    assert (ORDER_BATCH.legs, AMEND_BATCH.legs) == (ORDER_PLACE, ORDER_AMEND)


@pytest.mark.bar("B17")
@pytest.mark.parametrize("name", ACTIONS_TOLD)
@pytest.mark.parametrize("language", Language)
def test_a_text_has_no_link_one_code_and_ends_in_the_bound_line(name: str, language: Language) -> None:
    text = told(ACTIONS_TOLD[name], language)
    assert "://" not in text
    assert not re.search(r"\bwww\.", text)
    said, line = text.rsplit("\n", 1)
    assert "\n" not in said
    assert line == "@futures.example.com #04711555"
    assert said.count(CODE) == 1


@pytest.mark.bar("B17")
def test_a_number_that_is_entered_or_gone_is_told_word_for_word() -> None:
    entered = {
        language: enrolment_text(
            environment=FUTURES, code=CODE, life_ms=5 * MINUTE, issuer="Acme", host="a.example", language=language
        )
        for language in Language
    }
    assert entered == {
        Language.ENGLISH: "Acme Futures: add this phone as SMS backup. Code 04711555, 5 min. Not you? Ignore it."
        "\n@a.example #04711555",
        Language.CHINESE: "Acme合约:将本手机设为短信备用验证。验证码04711555,5分钟内有效。非本人操作请忽略。"
        "\n@a.example #04711555",
    }
    for language in Language:
        for replaced in (True, False):
            text = farewell_text(environment=FUTURES, issuer="Acme", language=language, replaced=replaced)
            assert "Acme" in text
            assert not re.search(r"[0-9]", text)


def test_no_sentence_is_missing_or_left_in_the_other_language() -> None:
    assert set(CATALOGUE) == {*Language}
    for field in dataclasses.fields(ENGLISH):
        english, chinese = getattr(ENGLISH, field.name), getattr(CHINESE, field.name)
        if isinstance(english, str):
            assert english
            assert chinese
            assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), field.name
        else:
            assert english.keys() == chinese.keys()
            assert all(english.values())
            assert all(re.search("[\u4e00-\u9fff]", word) for word in chinese.values())


@pytest.mark.parametrize(
    ("text", "unicode", "parts"),
    [
        ("a" * 160, False, 1),
        ("a" * 161, False, 2),
        ("a" * 306, False, 2),
        ("a" * 307, False, 3),
        ("€" * 80, False, 1),  # each takes two septets
        ("€" * 81, False, 2),
        ("买" * 70, True, 1),
        ("买" * 71, True, 2),
        ("买" * 134, True, 2),
        ("买" * 135, True, 3),
        ("😀" * 35, True, 1),  # two units each
        ("😀" * 36, True, 2),
    ],
)
def test_how_many_parts_a_text_is_sent_in(text: str, unicode: bool, parts: int) -> None:
    size = size_of(text)
    assert (size.unicode, size.parts) == (unicode, parts)


@pytest.mark.parametrize("name", ACTIONS_TOLD)
def test_the_texts_stay_short(name: str) -> None:
    english, chinese = (told(ACTIONS_TOLD[name], language) for language in Language)
    assert not size_of(english).unicode
    assert size_of(english).parts <= 2
    assert size_of(chinese).parts <= 3


@pytest.mark.bar("B91")
def test_a_hostile_symbol_neither_hides_the_action_nor_poses_as_the_last_line() -> None:
    text = told(order(symbol="X" * 100 + "BTCUSDT{code}"), Language.ENGLISH)
    assert text.startswith("Acme Futures: BUY 1 XXXXXXXXXXX..CUSDT{code} market, 75x.")
    spoken = told(order(symbol="@evil.example"), Language.ENGLISH)
    assert spoken.splitlines()[-1] == "@futures.example.com #04711555"
    assert len(spoken.splitlines()) == 2
    assert told(order(symbol="这是测试币456"), Language.ENGLISH).startswith("Acme Futures: BUY 1 这是测试币456 market")
