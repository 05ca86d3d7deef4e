"""`leverlock sms`: a phone as backup for the day on which the authenticator app is not at hand (M11-M14)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.connection import perform
from leverlock.cli.enrol import STEP_UP
from leverlock.cli.options import Account, Config, Json, PasswordFile, load
from leverlock.cli.output import CommandError, moment, note, tell
from leverlock.cli.owner import api_address, digits, sign_in
from leverlock.cli.secret_input import is_typed, secret
from leverlock.domain.environment import Environment
from leverlock.domain.messages import Language

app = typer.Typer(help="A phone as backup for an authenticator app.", no_args_is_help=True)

Market = Annotated[Environment, typer.Argument(help="The market whose code it may stand in for.")]
Login = Annotated[
    str | None, typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN")
]
ApiUrl = Annotated[str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)]
LoginCodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of the login authenticator.", show_default=False)
]
CodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of the environment's authenticator.", show_default=False)
]
Backup = Annotated[bool, typer.Option("--backup/--no-backup", help="Whether SMS may stand in for the code.")]


@app.command("add")
def add(
    environment: Market,
    number: Annotated[str, typer.Argument(help='In international form: "+44 7400 123456".')],
    backup: Backup = True,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Enter a number, type the code that is sent to it, and save with the app's own code."""
    with ApiClient(api_url or api_address(config)) as api:
        password = sign_in(api, login, password_file, login_code_file)
        entered = api.call("POST", _path(environment), {"number": number})
        note(entered["risk"])
        note(f"A code was sent to {entered['number']}.")
        code = digits(secret("sms_code", file=None, prompt="Code from the SMS"))
        api.call("POST", f"{_path(environment)}/{entered['id']}/confirmation", {"code": code})
        done = _agreed(api, environment, password, code_file, lambda: _saved(api, environment, backup=backup))
    tell(done, as_json=as_json, lines=_lines(environment, done))


@app.command("backup")
def switch(
    environment: Market,
    backup: Backup = True,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let the number stand in for the code, or not."""
    with ApiClient(api_url or api_address(config)) as api:
        password = sign_in(api, login, password_file, login_code_file)
        done = _agreed(api, environment, password, code_file, lambda: _saved(api, environment, backup=backup))
    tell(done, as_json=as_json, lines=_lines(environment, done))


@app.command("remove")
def remove(
    environment: Market,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Switch SMS off for a market."""
    with ApiClient(api_url or api_address(config)) as api:
        password = sign_in(api, login, password_file, login_code_file)
        _agreed(api, environment, password, code_file, lambda: api.call("DELETE", _path(environment)))
    done = {"environment": environment.value, "removed": True}
    tell(done, as_json=as_json, lines=[f"No SMS stands in for a {environment.label} code any more."])


@app.command("language")
def language(
    language: Annotated[Language, typer.Argument(help="In which language you are written to.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Choose the language of the texts."""
    with ApiClient(api_url or api_address(config)) as api:
        sign_in(api, login, password_file, login_code_file)
        done = api.call("PUT", "/v1/account/language", {"language": language.value})
    tell(done, as_json=as_json, lines=[f"You are written to in {done['language']}."])


@app.command("distrust")
def distrust(
    account: Account,
    because: Annotated[str, typer.Option(help="What is known, for the trail: sim_swap.")] = "sim_swap",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """As operator: a carrier says that the owner may have lost his numbers. Each waits for a day as a new one would."""
    done = perform(load(config).settings, "sms.distrust", account=account, because=because)
    tell(done, as_json=as_json, lines=[f"{done['numbers']} of {account}'s numbers wait for a day."])


def answer_by_sms(api: ApiClient, challenge: dict[str, Any]) -> list[dict[str, Any]]:
    """Have a code sent for this challenge alone, and answer with it. A code that was given beforehand is not sent."""
    if "sms" not in challenge.get("backups", ()):
        raise CommandError("no SMS for this: use your authenticator app")
    if is_typed("sms_code", file=None):
        sent = api.call("POST", f"/v1/challenges/{challenge['id']}/sms")
        note(f"A code for this alone was sent to {sent['number']}.")
    code = digits(secret("sms_code", file=None, prompt="Code from the SMS"))
    proof = {"sms_code": code}
    answered: list[dict[str, Any]] = api.call("POST", f"/v1/challenges/{challenge['id']}/proof", proof)["approved"]
    return answered


def _path(environment: Environment) -> str:
    return f"/v1/environments/{environment}/sms"


def _saved(api: ApiClient, environment: Environment, *, backup: bool) -> dict[str, Any]:
    return api.call("PUT", _path(environment), {"backup": backup})


def _agreed(
    api: ApiClient, environment: Environment, password: str, code_file: Path | None, call: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Make the call; where the app has to agree first, ask for its code here, then make the very same call again."""
    try:
        return call()
    except CommandError as problem:
        if problem.facts.get("type") != STEP_UP:
            raise
        challenge = dict(problem.facts["challenge"])
    note("\n".join([challenge["headline"], *(f"  {name}: {value}" for name, value in challenge["lines"])]))
    prompt = f"{environment.label} code of the app"
    proof: dict[str, Any] = {"code": digits(secret("code", file=code_file, prompt=prompt))}
    if "password" in challenge["requires"]:
        proof["password"] = password
    api.call("POST", f"/v1/challenges/{challenge['id']}/proof", proof)
    return call()


def _lines(environment: Environment, done: dict[str, Any]) -> list[str]:
    use = "may stand in for the code" if done["backup"] else "is kept, and stands in for nothing"
    lines = [f"{done['number']} {use} of {environment.label}."]
    if done["usable_at"] > time.time() * 1000:
        lines.append(f"It took another number's place and serves from {moment(done['usable_at'])} on.")
    return lines
