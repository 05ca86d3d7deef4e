"""`leverlock approve`: the owner answers his challenges in a terminal."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import CommandError, Exit, note, tell
from leverlock.cli.owner import api_address, digits, sign_in
from leverlock.cli.secret_input import is_typed, secret
from leverlock.cli.sms import answer_by_sms

MOST = 5  # challenges that one code may approve together (semantics 12)
POLL_SECONDS = 1.0
_HELP = (
    "numbers: approve these together, with one code (1 3) · s 2: by SMS · d 2: deny · n 2: this was not me · "
    "enter: look again · q: leave"
)


def approve(
    login: Annotated[
        str | None,
        typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN"),
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)
    ] = None,
    challenge: Annotated[
        list[str] | None, typer.Option(help="Approve this one without asking; repeat it for up to five.")
    ] = None,
    deny: Annotated[list[str] | None, typer.Option(help="Deny this one.")] = None,
    not_me: Annotated[
        list[str] | None, typer.Option(help='Say "this was not me": freezes the key that asked, and alerts.')
    ] = None,
    by_sms: Annotated[
        bool, typer.Option("--sms", help="Have the code sent by SMS, where it may stand in for the app's.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Where nothing waits, wait until something does.")] = False,
    password_file: PasswordFile = None,
    login_code_file: Annotated[
        Path | None, typer.Option(help="File with the code of the login authenticator.", show_default=False)
    ] = None,
    code_file: Annotated[
        Path | None, typer.Option(help="File with the code of the environment's authenticator.", show_default=False)
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Sign in, see what waits in full, and approve or refuse it.

    Without --challenge, --deny or --not-me it asks; with --json and none of them it only lists. One code approves up
    to five challenges that you mark yourself, and none is marked for you.
    """
    with ApiClient(api_url or api_address(config)) as api:
        password = sign_in(api, login, password_file, login_code_file)
        waiting = _waiting(api, wait=wait)
        if challenge or deny or not_me:
            done = _answer_named(
                api, waiting, challenge or [], deny or [], not_me or [], code_file, password, by_sms=by_sms
            )
            lines = [f"{one['state']}: {one['challenge']}" for one in done["answered"]]
            tell(done, as_json=as_json, lines=lines)
        elif as_json:
            tell({"challenges": waiting}, as_json=True)
        else:
            _converse(api, waiting, password)


def _waiting(api: ApiClient, *, wait: bool = False) -> list[dict[str, Any]]:
    while True:
        found: list[dict[str, Any]] = api.call("GET", "/v1/challenges")["challenges"]
        if found or not wait:
            return found
        time.sleep(POLL_SECONDS)


def _answer_named(
    api: ApiClient,
    waiting: list[dict[str, Any]],
    challenges: list[str],
    denied: list[str],
    not_me: list[str],
    code_file: Path | None,
    password: str,
    *,
    by_sms: bool,
) -> dict[str, Any]:
    """Answer what the command line names. Refusals go first: they need no code, so nothing can hold them up."""
    answered = []
    for reason, named in (("changed_mind", denied), ("not_me", not_me)):
        for challenge_id in named:
            api.call("POST", f"/v1/challenges/{_id(challenge_id)}/denial", {"reason": reason})
            answered.append({"challenge": challenge_id, "state": "denied"})
    if challenges:
        marked = [one for one in waiting if one["id"] in challenges]
        if len(marked) != len(set(challenges)):
            raise CommandError("not all of these challenges wait for an answer")
        for one in marked:
            note("\n".join(_shown(one)))
        if by_sms:
            for one in marked:
                answered += answer_by_sms(api, one)
        else:
            answered += _prove(api, marked, password, code_file)
    return {"answered": answered}


def _converse(api: ApiClient, waiting: list[dict[str, Any]], password: str) -> None:
    while True:
        if not waiting:
            print("Nothing waits for you.")
            return
        for number, one in enumerate(waiting, start=1):
            tell(None, as_json=False, lines=_shown(one, number))
        print(_HELP)
        words = str(typer.prompt(">", default="", show_default=False, prompt_suffix=" ")).split()
        if words == ["q"]:
            return
        try:
            _act(api, waiting, words, password)
        except CommandError as problem:
            print(problem)
            if problem.exit_code is Exit.UNAVAILABLE:
                raise
        waiting = _waiting(api)


def _act(api: ApiClient, waiting: list[dict[str, Any]], words: list[str], password: str) -> None:
    verb = words[0] if words and words[0] in ("d", "n", "s") else ""
    marked = _marked(waiting, words[1:] if verb else words)
    if verb == "s":
        for one in marked:
            for done in answer_by_sms(api, one):
                print(f"{done['state']}: {done['challenge']}. The client repeats its call now.")
    elif verb:
        for one in marked:
            reason = "not_me" if verb == "n" else "changed_mind"
            api.call("POST", f"/v1/challenges/{one['id']}/denial", {"reason": reason})
            print("Denied." if verb == "d" else "Denied; the key that asked is frozen.")
    elif marked:
        for one in _prove(api, marked, password):
            print(f"{one['state']}: {one['challenge']}. The client repeats its call now.")


def _marked(waiting: list[dict[str, Any]], words: list[str]) -> list[dict[str, Any]]:
    numbers = [int(word) if word.isascii() and word.isdigit() else 0 for word in words]
    if any(not 1 <= number <= len(waiting) for number in numbers) or len(set(numbers)) != len(numbers):
        raise CommandError(f"numbers from 1 to {len(waiting)}, each once")
    if len(numbers) > MOST:
        raise CommandError(f"one code approves at most {MOST}")
    return [waiting[number - 1] for number in numbers]


def _prove(
    api: ApiClient, marked: list[dict[str, Any]], password: str, code_file: Path | None = None
) -> list[dict[str, Any]]:
    """Answer in as many layers as it takes. Before each is said what it does; only who types can be asked twice."""
    ids = [one["id"] for one in marked]
    market = str(marked[0]["environment"]).capitalize()
    opened = any("wallet" in one.get("given", ()) for one in marked)
    while True:
        requires = {word for one in marked for word in one["requires"]}
        layer = {"wallet"} if "wallet" in requires else requires
        if "security_key" in layer:
            raise CommandError(f"a security key answers this, in a browser: {marked[0]['url']}")
        _say_what_it_does(market, layer, opened=opened)
        body: dict[str, Any] = {"challenges": ids}
        if layer & {"wallet", "totp"}:
            prompt = f"{'Later ' if opened else ''}{market} code for {len(ids)}"
            body["code"] = digits(secret("code", file=code_file, prompt=prompt))
        if "password" in layer:
            # "Typed anew" is what the action asks for: that of the sign-in a moment ago is not enough at a terminal.
            body["password"] = secret("password", file=None, prompt="Master password") if os.isatty(0) else password
        answered: list[dict[str, Any]] = api.call("POST", "/v1/proofs", body)["approved"]
        left = {done["challenge"]: done["requires"] for done in answered if "requires" in done}
        marked = [{**one, "requires": left[one["id"]]} for one in marked if one["id"] in left]
        if not marked:
            return answered
        opened = True
        if not is_typed("code", file=code_file):
            note(f"The {market} wallet is open for this movement; run this again with a later code.")
            return answered


def _say_what_it_does(market: str, layer: set[str], *, opened: bool) -> None:
    if layer == {"wallet"}:
        note(f"First of two answers: a code that opens the {market} wallet. Nothing moves yet.")
    elif opened:
        note(f"The {market} wallet is open. The master password and a later code authorise exactly this movement.")


def _shown(one: dict[str, Any], number: int | None = None) -> list[str]:
    """A challenge in full, as the digest covers it."""
    left = max(0, round(one["expires_at"] / 1000 - time.time()))
    title = f"{number}. {one['headline']}" if number is not None else one["headline"]
    width = max((len(label) for label, _ in one["lines"]), default=0)
    details = [f"     {label.ljust(width)}  {value}" for label, value in one["lines"]]
    asked = f"     asked by {one['asked_by']}, {one['environment']}, {left} s left, requires "
    first = ["wallet"] if "wallet" in one["requires"] else []
    rest = " and ".join(word for word in one["requires"] if word not in first)
    return [title, *details, asked + ", then ".join([*first, rest]), ""]


def _id(text: str) -> str:
    if not text.replace("_", "").isalnum() or not text.isascii():
        raise CommandError("this is no challenge's id", exit_code=Exit.USAGE)
    return text
