"""`leverlock case`: the way back of an owner who has lost an authenticator and every recovery code of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import CommandError, Exit, moment, tell
from leverlock.cli.owner import api_address, sign_in
from leverlock.cli.secret_input import secret

app = typer.Typer(help="Recovery with the help of support.", no_args_is_help=True)

MOST_BYTES = 16 * 1024 * 1024
_TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}

Login = Annotated[
    str | None, typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN")
]
ApiUrl = Annotated[str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)]
LoginCodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of the login authenticator.", show_default=False)
]
Lost = Annotated[
    bool, typer.Option("--lost", help="Your login authenticator is lost: sign in without its code, to recover only.")
]


def _sign_in(api: ApiClient, login: str | None, password_file: Path | None, code_file: Path | None, lost: bool) -> None:
    """The way in of who may have lost what the login challenge asks for."""
    if not lost:
        sign_in(api, login, password_file, code_file)
        return
    name = login or str(typer.prompt("Login", err=True))
    if api.sign_in(name, secret("password", file=password_file, prompt="Password")) == "login_challenge":
        api.say_lost()


@app.command("open")
def open_(
    environment: Annotated[list[str], typer.Option(help="What was lost; repeat it for several.")],
    statement: Annotated[str, typer.Option(help="What happened, in your words.")],
    identity: Annotated[list[Path], typer.Option(help="A picture of an identity document; repeatable.")],
    ownership: Annotated[list[Path], typer.Option(help="A picture that shows the account is yours; repeatable.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    lost: Lost = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say what was lost, bring the documents, and hand it all in."""
    brought = [("identity", picture(file)) for file in identity]
    brought += [("ownership", picture(file)) for file in ownership]
    with ApiClient(api_url or api_address(config)) as api:
        _sign_in(api, login, password_file, login_code_file, lost)
        made = api.call("POST", "/v1/recovery-cases", {"environments": environment, "statement": statement})
        for kind, (content, media) in brought:
            api.send(f"/v1/recovery-cases/{made['id']}/documents?{urlencode({'kind': kind})}", content, media)
        done = api.call("POST", f"/v1/recovery-cases/{made['id']}/submission")
    tell(done, as_json=as_json, lines=case_lines(done))


@app.command("show")
def show(
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    lost: Lost = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show your cases, and what comes next."""
    with ApiClient(api_url or api_address(config)) as api:
        _sign_in(api, login, password_file, login_code_file, lost)
        found = api.call("GET", "/v1/recovery-cases")
    lines = [line for case in found["cases"] for line in (*case_lines(case), "")]
    tell(found, as_json=as_json, lines=lines or ["There are none."])


@app.command("cancel")
def cancel(
    case: Annotated[str, typer.Argument(help="Id of the case.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    lost: Lost = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Stop a case for good. The link in every notice does the same, without signing in."""
    with ApiClient(api_url or api_address(config)) as api:
        _sign_in(api, login, password_file, login_code_file, lost)
        done = api.call("DELETE", f"/v1/recovery-cases/{case}")
    tell(done, as_json=as_json, lines=case_lines(done))


@app.command("return")
def return_(
    link_file: Annotated[
        Path | None, typer.Option(help="File with the link of the mail; - reads standard input.", show_default=False)
    ] = None,
    api_url: ApiUrl = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Follow the link that was mailed, and bind a new app to everything that was lost. It is good once."""
    from leverlock.cli.enrol import bind, bound_lines
    from leverlock.domain.environment import Environment

    with ApiClient(api_url or api_address(config)) as api:
        opened = api.follow_link(secret("link", file=link_file, prompt="Link"))
        lost = [Environment(step["path"].split("/")[3]) for step in opened["next"]]
        bound = {environment: bind(api, environment)["recovery_codes"] for environment in lost}
    document = {"bound": {environment.value: codes for environment, codes in bound.items()}}
    lines = [line for environment, codes in bound.items() for line in bound_lines(environment, codes)]
    tell(document, as_json=as_json, lines=[*lines, "For a day what opens a position or moves funds is refused."])


def picture(file: Path) -> tuple[bytes, str]:
    """A file's bytes and what they are. Raises CommandError before anything is sent."""
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise CommandError(f"{file} cannot be read: {problem.strerror}", exit_code=Exit.USAGE) from None
    media = next((media for magic, media in _TYPES.items() if content.startswith(magic)), None)
    if media is None:
        raise CommandError(f"{file} is neither a JPEG nor a PNG picture", exit_code=Exit.USAGE)
    if len(content) > MOST_BYTES:
        raise CommandError(f"{file} is larger than any server takes", exit_code=Exit.USAGE)
    return content, media


def case_lines(case: dict[str, Any]) -> list[str]:
    """A case as a person reads it."""
    lines = [
        f"Case {case['id']} of account {case['account']}: {case['state']}",
        f"  lost: {', '.join(case['environments'])}",
        *[f"  {line}" for line in case["statement"].splitlines()],
        *[f"  {one['kind']}: {one['id']} ({one['type']}, {one['size']} bytes)" for one in case["documents"]],
        f"  approvals: {case['approvals']} of 2",
    ]
    if "ready_at" in case:
        lines.append(f"  its day is over: {moment(case['ready_at'])} UTC")
    return [*lines, *[f"  next: {step['does']}" for step in case["next"]]]
