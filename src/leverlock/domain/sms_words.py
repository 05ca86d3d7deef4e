"""The words of SMS in each language: one typed catalogue, so that no sentence can be missing in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from leverlock.domain.messages import Language


@dataclass(frozen=True, slots=True)
class Words:
    """Names in braces are filled in. `terms` translates the choices of action fields; others stand as they are."""

    order: str
    conditional: str
    amend: str
    price: str
    trigger: str
    whole_position: str
    reduces: str
    leverage: str
    unknown_leverage: str
    several: str
    set_leverage: str
    set_margin_mode: str
    multi_assets_on: str
    multi_assets_off: str
    code: str
    enrol: str
    replaced: str
    removed: str
    environments: Mapping[str, str]
    terms: Mapping[str, str]


ENGLISH: Final = Words(
    order="{side} {size} {symbol} {kind}{price}{reduces}, {leverage}",
    conditional="{side} {size} {symbol} {kind}{trigger}{price}{reduces}, {leverage}",
    amend="change {side} order: {size} {symbol}{price}, {leverage}",
    price=" at {price}",
    trigger=" when {trigger}",
    whole_position="the whole position",
    reduces=", reduce-only",
    leverage="{leverage}x",
    unknown_leverage="leverage unknown",
    several="{count} together: ",
    set_leverage="set leverage of {symbol} to {leverage}x",
    set_margin_mode="switch margin mode of {symbol} to {margin_mode}",
    multi_assets_on="switch multi-assets mode on",
    multi_assets_off="switch multi-assets mode off",
    code="{issuer} {environment}: {action}. Code {code}, for this alone, {minutes} min. Not you? Deny it at once.",
    enrol="{issuer} {environment}: add this phone as SMS backup. Code {code}, {minutes} min. Not you? Ignore it.",
    replaced="{issuer} {environment}: another phone is the SMS backup now. Not you? Call support at once.",
    removed="{issuer} {environment}: this phone is no SMS backup any more. Not you? Call support at once.",
    environments=MappingProxyType({"spot": "Spot", "margin": "Margin", "futures": "Futures"}),
    terms=MappingProxyType(
        {
            "BUY": "BUY",
            "SELL": "SELL",
            "LIMIT": "limit",
            "MARKET": "market",
            "STOP": "stop limit",
            "STOP_MARKET": "stop market",
            "TAKE_PROFIT": "take-profit limit",
            "TAKE_PROFIT_MARKET": "take-profit market",
            "TRAILING_STOP_MARKET": "trailing stop",
            "ISOLATED": "isolated",
            "CROSSED": "cross",
        }
    ),
)

CHINESE: Final = Words(
    order="{side}{size} {symbol} {kind}{price}{reduces},{leverage}",
    conditional="{side}{size} {symbol} {kind}{trigger}{price}{reduces},{leverage}",
    amend="修改{side}单:{size} {symbol}{price},{leverage}",
    price=",价格{price}",
    trigger=",触发价{trigger}",
    whole_position="全部仓位",
    reduces=",只减仓",
    leverage="杠杆{leverage}倍",
    unknown_leverage="杠杆未知",
    several="共{count}笔:",
    set_leverage="{symbol}杠杆调至{leverage}倍",
    set_margin_mode="{symbol}保证金模式切换为{margin_mode}",
    multi_assets_on="开启联合保证金模式",
    multi_assets_off="关闭联合保证金模式",
    code="{issuer}{environment}:{action}。验证码{code},仅限本次操作,{minutes}分钟内有效。非本人操作请立即拒绝。",
    enrol="{issuer}{environment}:将本手机设为短信备用验证。验证码{code},{minutes}分钟内有效。非本人操作请忽略。",
    replaced="{issuer}{environment}:短信备用验证已改用其他手机。非本人操作请立即联系客服。",
    removed="{issuer}{environment}:本手机不再用于短信备用验证。非本人操作请立即联系客服。",
    environments=MappingProxyType({"spot": "现货", "margin": "杠杆", "futures": "合约"}),
    terms=MappingProxyType(
        {
            "BUY": "买入",
            "SELL": "卖出",
            "LIMIT": "限价单",
            "MARKET": "市价单",
            "STOP": "限价止损单",
            "STOP_MARKET": "市价止损单",
            "TAKE_PROFIT": "限价止盈单",
            "TAKE_PROFIT_MARKET": "市价止盈单",
            "TRAILING_STOP_MARKET": "跟踪止损单",
            "ISOLATED": "逐仓",
            "CROSSED": "全仓",
        }
    ),
)

CATALOGUE: Final[Mapping[Language, Words]] = MappingProxyType({Language.ENGLISH: ENGLISH, Language.CHINESE: CHINESE})
