"""`leverlock password`: change it, or set a new one by a link in a mail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leverlock.cli.agree import ApiUrl, CodeFile, Login, LoginCodeFile, agreed, signed_in
from leverlock.cli.api_client import ApiClient
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import tell
from leverlock.cli.owner import api_address
from leverlock.cli.secret_input import secret

app = typer.Typer(help="Change your password, or set a new one by a link in a mail.", no_args_is_help=True)

NewPasswordFile = Annotated[Path | None, typer.Option(help="File with the new password.", show_default=False)]


@app.command()
def change(
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    new_password_file: NewPasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Change the password. Every other session ends, and what was asked and approved before is void."""
    with signed_in(api_url, config, login, password_file, login_code_file) as (api, password):
        body = {"password": _new(new_password_file)}
        agreed(api, "POST", "/v1/password", body, password=password, code_file=code_file)
    tell({"state": "set"}, as_json=as_json, lines=["The password is changed."])


@app.command()
def forgot(login: Login = None, api_url: ApiUrl = None, config: Config = None, as_json: Json = False) -> None:
    """Have a link mailed. `leverlock password reset` takes it, with a code of an authenticator of yours."""
    name = login or str(typer.prompt("Login", err=True))
    with ApiClient(api_url or api_address(config)) as api:
        asked = api.call("POST", "/v1/password-resets", {"login": name})
    tell(asked, as_json=as_json, lines=["If this login has a mail address, a link is on its way to it."])


@app.command()
def reset(
    api_url: ApiUrl = None,
    link_file: Annotated[Path | None, typer.Option(help="File with the link's token.", show_default=False)] = None,
    new_password_file: NewPasswordFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Set a new password with the link of the mail and a code. For a day withdrawals, keys and the like are held."""
    token = secret("link", file=link_file, prompt="Link").strip()
    with ApiClient(api_url or api_address(config)) as api:
        api.open_session("/v1/sessions/by-mail", {"token": token})
        body = {"password": _new(new_password_file)}
        done = agreed(api, "POST", "/v1/password", body, password=None, code_file=code_file)
        api.forget_session()  # it ended with the password that was
    tell(done, as_json=as_json, lines=["The password is set. Sign in with it."])


def _new(file: Path | None) -> str:
    return secret("new_password", file=file, prompt="New password", confirm=True)
