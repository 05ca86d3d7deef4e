"""`leverlock recover` and `leverlock codes`: back with a recovery code, and new ones while nothing is lost (M20)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leverlock.cli.agree import ApiUrl, CodeFile, Login, LoginCodeFile, agreed, signed_in
from leverlock.cli.api_client import ApiClient
from leverlock.cli.enrol import bind, bound_lines, keep
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import note, tell
from leverlock.cli.owner import api_address
from leverlock.cli.secret_input import secret
from leverlock.domain.environment import Environment

Which = Annotated[Environment, typer.Argument(help="Whose authenticator was lost.")]
RecoveryCodeFile = Annotated[
    Path | None, typer.Option(help="File with one recovery code of this environment.", show_default=False)
]


def recover(
    environment: Which,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    recovery_code_file: RecoveryCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Bind a new authenticator app with your password and one recovery code.

    The code is used up, and the others of its set with it; the new ones are printed once, on standard output. For a day
    withdrawals, keys, addresses and orders that open a position are held, and every address of yours is told.
    """
    with ApiClient(api_url or api_address(config)) as api:
        name = login or str(typer.prompt("Login", err=True))
        password = secret("password", file=password_file, prompt="Password")
        state = api.sign_in(name, password)
        if state == "login_challenge":
            api.say_lost()
        code = secret("recovery_code", file=recovery_code_file, prompt="Recovery code").strip()
        opened = api.call(
            "POST", "/v1/recoveries", {"environment": environment.value, "code": code, "password": password}
        )
        note(f"Bind a new app to {environment.label} within ten minutes.")
        confirmed = bind(api, environment)
        done = {
            "environment": environment.value,
            "recovery_codes": confirmed["recovery_codes"],
            "held_until": opened["held_until"],
        }
        tell(done, as_json=as_json, lines=bound_lines(environment, confirmed["recovery_codes"]))


def codes(
    environment: Annotated[Environment, typer.Argument(help="Whose codes to make anew.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make new recovery codes and print them once. The present ones end; withdrawals and keys are held for a day."""
    with signed_in(api_url, config, login, password_file, login_code_file) as (api, password):
        path = f"/v1/environments/{environment}/recovery-codes"
        made = agreed(api, "POST", path, None, password=password, code_file=code_file)
    tell(made, as_json=as_json, lines=keep(made["recovery_codes"]))
