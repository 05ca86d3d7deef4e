"""`leverlock security-key`: the owner's security keys, as far as a terminal can deal with them.

Adding one and answering with one is a browser's business. What a terminal does is to show them, and to have one that is
lost removed, with the password, a code and a day.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import CommandError, moment, note, table, tell
from leverlock.cli.owner import api_address, digits, sign_in
from leverlock.cli.secret_input import secret

app = typer.Typer(help="Your security keys (FIDO2).", no_args_is_help=True)

STEP_UP: Final = "/problems/step-up-required"

Login = Annotated[
    str | None, typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN")
]
ApiUrl = Annotated[str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)]
LoginCodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of the login authenticator.", show_default=False)
]


@app.command("list")
def list_(
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show your security keys, and since when each may authorise movements."""
    with ApiClient(api_url or api_address(config)) as api:
        sign_in(api, login, password_file, login_code_file)
        found = api.call("GET", "/v1/security-keys")
    rows = [
        [one["id"], one["label"], one["state"], moment(one["created_at"]), moment(one["serves_movements_at"])]
        for one in found["security_keys"]
    ]
    lines = table(["id", "label", "state", "added", "authorises from"], rows, nothing="There are none.")
    tell(found, as_json=as_json, lines=lines)


@app.command("remove")
def remove(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: Annotated[
        Path | None, typer.Option(help="File with the code of the environment's authenticator.", show_default=False)
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Have a key that is not at hand removed after a day; until then no funds move, and it can be stopped.

    With the key itself, or with another one, it is removed at once: in a browser.
    """
    path = f"/v1/security-keys/{key}/loss"
    with ApiClient(api_url or api_address(config)) as api:
        password = sign_in(api, login, password_file, login_code_file)
        try:
            change = api.call("POST", path)
        except CommandError as problem:
            if problem.facts.get("type") != STEP_UP:
                raise
            _agree(api, key, password, code_file)
            change = api.call("POST", path)
    lines = [f"{key} is removed at {moment(change['due_at'])}, unless somebody stops it. No funds move until then."]
    tell(change, as_json=as_json, lines=lines)


def _agree(api: ApiClient, key: str, password: str, code_file: Path | None) -> None:
    """Answer the challenge that the call was stopped with."""
    waiting: list[dict[str, Any]] = api.call("GET", "/v1/challenges")["challenges"]
    asked = next(one for one in waiting if one["action"].endswith(".give_up") and ["key", key] in one["lines"])
    note(f"{asked['headline']}, which takes a code of {asked['environment']}")
    code = secret("code", file=code_file, prompt=f"{str(asked['environment']).capitalize()} code")
    api.call("POST", f"/v1/challenges/{asked['id']}/proof", {"code": digits(code), "password": password})
