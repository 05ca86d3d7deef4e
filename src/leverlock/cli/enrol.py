"""`leverlock enrol`: the owner binds an authenticator app in a terminal (M4-M9)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import segno
import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import CommandError, note, tell
from leverlock.cli.owner import api_address, digits, sign_in
from leverlock.domain.environment import Environment

STEP_UP = "/problems/step-up-required"


def enrol(
    environment: Annotated[Environment, typer.Argument(help="What the app shall guard.")],
    login: Annotated[
        str | None,
        typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN"),
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)
    ] = None,
    password_file: PasswordFile = None,
    login_code_file: Annotated[
        Path | None, typer.Option(help="File with the code of the login authenticator.", show_default=False)
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show a QR code, take the app's first code, and switch protection on.

    Where it is on already, the present app has to agree first: approve the challenge in another terminal. The recovery
    codes of a first set-up are printed once, on standard output; everything else goes to standard error.
    """
    with ApiClient(api_url or api_address(config)) as api:
        sign_in(api, login, password_file, login_code_file)
        confirmed = bind(api, environment)
        codes = confirmed["recovery_codes"]
        done = {"environment": environment.value, "state": "on", "recovery_codes": codes}
        done["legacy_keys"] = confirmed["legacy_keys"]
        lines = bound_lines(environment, codes)
        if confirmed["legacy_keys"]:
            lines += ["", "Keys that existed before go on unchallenged; `leverlock key revoke` ends one:"]
            lines += [f"{key['id']}  {key['label']}" for key in confirmed["legacy_keys"]]
        tell(done, as_json=as_json, lines=lines)


def keep(codes: list[str]) -> list[str]:
    """Recovery codes as they are printed."""
    return ["Recovery codes, shown this once; keep them where the phone is not:", *codes] if codes else []


def bound_lines(environment: Environment, codes: list[str]) -> list[str]:
    return [f"{environment.label} is protected.", *keep(codes)]


def bind(api: ApiClient, environment: Environment) -> dict[str, Any]:
    """Show a fresh secret and take the app's first code; what the confirmation answered."""
    started = _started(api, environment)
    _show(started)
    path = f"/v1/environments/{environment}/authenticators/{started['authenticator']}/confirmation"
    return _confirmed(api, path)


def _started(api: ApiClient, environment: Environment) -> dict[str, Any]:
    """The fresh secret; where a present authenticator has to agree first, once it has."""
    while True:
        try:
            return api.call("POST", f"/v1/environments/{environment}/authenticators")
        except CommandError as problem:
            if problem.facts.get("type") != STEP_UP:
                raise
            note("The authenticator you have must agree. In another terminal: `leverlock approve`.")
            typer.prompt("Enter when that is done", default="", show_default=False, err=True)


def _show(started: dict[str, Any]) -> None:
    note("Scan this with your authenticator app, or type the key:")
    segno.make_qr(started["otpauth_uri"], error="m").terminal(out=sys.stderr, compact=True, border=4)
    note(f"key {' '.join(re.findall('....', started['secret']))}  (time based, 6 digits)")


def _confirmed(api: ApiClient, path: str) -> dict[str, Any]:
    """Ask for the app's code until one is right, or until the API will not hear another."""
    while True:
        code = digits(typer.prompt("Code", err=True))
        try:
            return api.call("POST", path, {"code": code})
        except CommandError as problem:
            if problem.facts.get("type") not in ("/problems/wrong-code", "/problems/malformed"):
                raise
            note(str(problem))
