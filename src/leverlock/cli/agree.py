"""What an owner changes from a terminal: signed in over the API, and agreed to with code and password."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.output import CommandError, Exit, note
from leverlock.cli.owner import api_address, digits, sign_in
from leverlock.cli.secret_input import secret

STEP_UP = "/problems/step-up-required"

Login = Annotated[
    str | None, typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN")
]
ApiUrl = Annotated[str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)]
LoginCodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of the login authenticator.", show_default=False)
]
CodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of the authenticator that agrees.", show_default=False)
]


@contextmanager
def signed_in(
    api_url: str | None, config: Path | None, login: str | None, password_file: Path | None, code_file: Path | None
) -> Iterator[tuple[ApiClient, str]]:
    """A session of the owner, and the password that he gave for it."""
    with ApiClient(api_url or api_address(config)) as api:
        yield api, sign_in(api, login, password_file, code_file)


def agreed(
    api: ApiClient,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    *,
    password: str | None,
    code_file: Path | None,
) -> dict[str, Any]:
    """Make a call; where its owner has to agree, show what to, take what it requires, and make it again."""
    try:
        return api.call(method, path, body)
    except CommandError as problem:
        if problem.facts.get("type") != STEP_UP:
            raise
        answer_challenge(api, problem.facts["challenge"], password=password, code_file=code_file)
    return api.call(method, path, body)


def answer_challenge(
    api: ApiClient, challenge: dict[str, Any], *, password: str | None, code_file: Path | None
) -> None:
    """Answer one challenge with all that it requires. Raises CommandError."""
    note(
        "\n".join(
            [f"To agree to: {challenge['headline']}", *(f"  {name}: {said}" for name, said in challenge["lines"])]
        )
    )
    proof: dict[str, Any] = {}
    if "totp" in challenge["requires"]:
        market = str(challenge["environment"]).capitalize()
        proof["code"] = digits(secret("code", file=code_file, prompt=f"{market} code"))
    if "password" in challenge["requires"]:
        # That of the sign-in a moment ago is not enough at a terminal.
        proof["password"] = (
            password if password and not os.isatty(0) else secret("password", file=None, prompt="Password")
        )
    api.call("POST", f"/v1/challenges/{challenge['id']}/proof", proof)


def path_id(text: str) -> str:
    """An id that may stand in a path. Raises CommandError."""
    if re.fullmatch(r"[a-z]{2,4}_[a-z2-7]{26}", text, re.ASCII) is None:
        raise CommandError(f"{text!r} is no id", exit_code=Exit.USAGE)
    return text
