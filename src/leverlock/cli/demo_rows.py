"""The mission, row by row: one line each, with what was expected and what was seen.

Every row has accounts of its own, so that none waits for a code that another used. What takes a day is shown in the
tests, with the clock moved; here it is shown to wait.
"""

from __future__ import annotations

from typing import Any, Final

from leverlock.cli.demo_people import SYMBOL, Person, by_bot, order, person, refused, trader
from leverlock.cli.demo_row import Row
from leverlock.cli.demo_stage import Stage

MARKETS: Final = ("spot", "margin", "futures")


# -- getting in --------------------------------------------------------------------------------------------------------
def _m1(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m1", ("login",))
    state = owner.session.sign_in(owner.login, owner.password)
    before = refused(lambda: owner.call("GET", "/v1/environments"))
    owner.call("POST", "/v1/sessions/current/login-challenge", {"code": owner.code("login")})
    after = owner.call("GET", "/v1/sessions/current")["state"]
    return f"{state}: {before}; then {after}"


def _m2(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m2")
    shown = owner.call("GET", "/v1/sessions/current")
    return f"signed in as {shown['login']}; {len(owner.call('GET', '/v1/environments')['environments'])} subsections"


def _m3(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m3", ("spot",))
    found = owner.call("GET", "/v1/environments")["environments"]
    return ", ".join(f"{each['label']} {each['state']}" for each in found)


# -- binding an authenticator app --------------------------------------------------------------------------------------
def _started(stage: Stage, login: str) -> tuple[Person, dict[str, Any]]:
    owner = person(stage, login)
    return owner, owner.call("POST", "/v1/environments/futures/authenticators")


def _m4(stage: Stage, _ccxt: Any) -> str:
    _, started = _started(stage, "m4")
    return f"binding a {started['environment']} authenticator"


def _m5(stage: Stage, _ccxt: Any) -> str:
    owner, started = _started(stage, "m5")
    owner.apps["futures"] = started["otpauth_uri"]
    path = f"/v1/environments/futures/authenticators/{started['authenticator']}/confirmation"
    owner.call("POST", path, {"code": owner.code()})
    defaults = not any(word in started["otpauth_uri"] for word in ("algorithm=", "digits=", "period="))
    return f"a code of pyotp confirms; SHA-1, 6 digits, 30 s by default: {'yes' if defaults else 'no'}"


def _m6(stage: Stage, _ccxt: Any) -> str:
    _, started = _started(stage, "m6")
    return f"a QR code ({'SVG' if '<svg' in started['qr'] else 'none'}) and a key of {len(started['secret'])} letters"


def _m7(stage: Stage, _ccxt: Any) -> str:
    _, started = _started(stage, "m7")
    return str(started["otpauth_uri"]).partition("?")[0]


def _state(owner: Person, environment: str = "futures") -> str:
    [found] = [e for e in owner.call("GET", "/v1/environments")["environments"] if e["environment"] == environment]
    return str(found["state"])


def _m8(stage: Stage, _ccxt: Any) -> str:
    owner, started = _started(stage, "m8")
    owner.apps["futures"] = started["otpauth_uri"]
    path = f"/v1/environments/futures/authenticators/{started['authenticator']}/confirmation"
    wrong = refused(lambda: owner.call("POST", path, {"code": owner.wrong_code()}))
    before = _state(owner)
    owner.call("POST", path, {"code": owner.code()})
    return f"{wrong}: {before}; right code: {_state(owner)}"


def _m9(stage: Stage, _ccxt: Any) -> str:
    owner, started = _started(stage, "m9")
    owner.apps["futures"] = started["otpauth_uri"]
    path = f"/v1/environments/futures/authenticators/{started['authenticator']}/confirmation"
    shown = owner.call("POST", path, {"code": owner.code()})["recovery_codes"]
    again = refused(lambda: owner.call("POST", path, {"code": owner.code()}))
    return f"{len(set(shown))} codes once; asked again: {again}"


def _m10(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m10", MARKETS)
    secrets = {uri.partition("secret=")[2].partition("&")[0] for uri in owner.apps.values()}
    challenge = owner.asked("POST", "/v1/authorize", order())
    spot = refused(lambda: owner.prove(challenge, code=owner.code("spot")))
    owner.answer(challenge)
    return f"{len(secrets)} secrets; a Spot code for Futures: {spot}; a Futures code: approved"


# -- actions that demand a live proof ----------------------------------------------------------------------------------
def _m15(stage: Stage, ccxt: Any) -> str:
    owner = trader(stage, ccxt, "m15", ("futures",))

    def buy() -> str:
        return by_bot(lambda: owner.exchange.create_order(SYMBOL, "market", "buy", 0.01), "executed")

    owner.exchange.set_leverage(51, SYMBOL)
    above = buy()
    owner.answer(owner.waiting())
    approved = buy()
    owner.exchange.set_leverage(50, SYMBOL)
    return f"51x {above.partition('.')[0][:15]}; approved: {approved}; 50x {buy()}"


def _m16(stage: Stage, ccxt: Any) -> str:
    owner = trader(stage, ccxt, "m16", ("futures",))

    def switch() -> str:
        return by_bot(lambda: owner.exchange.set_margin_mode("isolated", SYMBOL), "isolated")

    before = switch()[:15]
    owner.answer(owner.waiting())
    return f"{before}; approved: {switch()}"


def _m17(stage: Stage, ccxt: Any) -> str:
    scopes = ("read", "futures", "transfer")
    venue_key = {"permitsUniversalTransfer": True}
    owner = trader(stage, ccxt, "m17", ("futures",), scopes=scopes, venue_key=venue_key)

    def move() -> str:
        return by_bot(lambda: owner.exchange.transfer("USDT", 5, "linear", "spot"), "moved")

    before = move()[:15]
    challenge = owner.waiting()
    owner.prove(challenge, code=owner.code())
    layer = ", ".join(owner.waiting()["requires"])
    between = move()[:15]
    owner.prove(challenge, code=owner.code(), password=owner.password)  # a later code: it has to be waited for
    return f"{before}; wallet opened, {layer} wanted: {between}; approved: {move()}"


def _m19(stage: Stage, ccxt: Any) -> str:
    owner = trader(stage, ccxt, "m19", ("futures",))
    owner.exchange.create_order(SYMBOL, "market", "buy", 0.01)
    wanted = {"symbol": "BTCUSDT", "rank": "LOWERED"}

    def lower() -> str:
        return by_bot(lambda: owner.exchange.request("adlSetting", ["fapiPrivate"], "POST", wanted), "lowered")

    before = lower()[:15]
    challenge, code = owner.waiting(), owner.code()
    alone = refused(lambda: owner.prove(challenge, code=code))
    owner.prove(challenge, code=code, password=owner.password)
    return f"{before}; a code alone: {alone}; with the password: {lower()}"


def _m23(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m23", ("spot", "futures"))
    before = _state(owner, "spot")
    old = owner.apps["spot"]
    owner.enable("futures")  # with the present app's consent: Futures is bound anew
    return f"Spot {before}, after Futures was bound anew {_state(owner, 'spot')}; its app " + (
        "goes on" if owner.apps["spot"] == old else "changed"
    )


ROWS: Final = (
    Row("M1", "Password, then the login challenge", "login_challenge: Login challenge open; then full", _m1),
    Row("M2", "Who is signed in, and the way to Security", "signed in as m2; 4 subsections", _m2),
    Row("M3", "A subsection for each environment", "Login never_enabled, Spot on, Margin never_enabled", _m3),
    Row("M4", "Enable starts binding", "binding a futures authenticator", _m4),
    Row("M5", "Any RFC 6238 app", "a code of pyotp confirms; SHA-1, 6 digits, 30 s by default: yes", _m5),
    Row("M6", "QR code and key", "a QR code (SVG) and a key of 32 letters", _m6),
    Row("M7", "The entry in the app", "otpauth://totp/Leverlock%20Futures:m7", _m7),
    Row("M8", "Only a right code confirms", "Wrong answer: never_enabled; right code: on", _m8),
    Row("M9", "Recovery codes, once", "10 codes once; asked again: Enrolment not pending", _m9),
    Row("M10", "Each market its own secret", "3 secrets; a Spot code for Futures: Wrong answer; a Fut", _m10),
    Row("M15", "Orders above 50x", "51x stopped: -40101; approved: executed; 50x executed", _m15),
    Row("M16", "A switch of the margin mode", "stopped: -40101; approved: isolated", _m16),
    Row("M17", "Out of the Futures wallet, in two layers", "stopped: -40101; wallet opened, password, totp wa", _m17),
    Row("M19", "ADL settings", "stopped: -40101; a code alone: Proof missing; with the password: lowered", _m19),
    Row("M23", "Futures apart from Spot", "Spot on, after Futures was bound anew on; its app goes on", _m23),
)
