"""`leverlock desk`: what an operator does in a terminal, signed in with his own password and login code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.cases import case_lines, picture
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import CommandError, Exit, moment, table, tell
from leverlock.cli.owner import api_address, sign_in

app = typer.Typer(help="Recovery cases and locks, for operators.", no_args_is_help=True)

Login = Annotated[
    str | None, typer.Option(help="Your login; asked for if left out.", show_default=False, envvar="LEVERLOCK_LOGIN")
]
ApiUrl = Annotated[str | None, typer.Option(help="Address of the API; else as in the settings.", show_default=False)]
LoginCodeFile = Annotated[
    Path | None, typer.Option(help="File with the code of your login authenticator.", show_default=False)
]
Subject = Annotated[str, typer.Argument(help="Id of the account.")]
Case = Annotated[str, typer.Argument(help="Id of the case.")]
Why = Annotated[str, typer.Option(help="Why; it stays in the account's audit trail.")]


@contextmanager
def signed_in(
    login: str | None, api_url: str | None, password_file: Path | None, code_file: Path | None, config: Path | None
) -> Iterator[ApiClient]:
    """A session of the operator; it ends with the command."""
    with ApiClient(api_url or api_address(config)) as api:
        sign_in(api, login, password_file, code_file)
        yield api


def _case(account: str, case: str, tail: str = "") -> str:
    for word in (account, case):
        if not word.replace("_", "").isalnum() or not word.isascii():
            raise CommandError(f"{word!r} is no id", exit_code=Exit.USAGE)
    return f"/v1/operator/accounts/{account}/cases/{case}{tail}"


@app.command("find")
def find(
    account: Annotated[str, typer.Argument(help="Login name of the account.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Find an account by its login name."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        found = api.call("GET", f"/v1/operator/accounts?{urlencode({'login': account})}")
    protected = ", ".join(found["protected"]) or "nothing"
    tell(found, as_json=as_json, lines=[f"{found['login']}  {found['account']}  {found['state']}  on: {protected}"])


@app.command("lock")
def lock(
    account: Subject,
    reason: Why,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Stop an account: sessions end, what was asked and approved is void, and only cancels pass."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        done = api.call("POST", f"/v1/operator/accounts/{account}/lock", {"reason": reason})
    tell(done, as_json=as_json, lines=[f"Account {done['account']} is {done['state']}."])


@app.command("unlock")
def unlock(
    account: Subject,
    reason: Why,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let a locked account go on."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        done = api.call("POST", f"/v1/operator/accounts/{account}/unlock", {"reason": reason})
    tell(done, as_json=as_json, lines=[f"Account {done['account']} is {done['state']}."])


@app.command("cases")
def cases(
    state: Annotated[str, typer.Option(help="opened, submitted, approved_once, waiting, ready, used, …")] = "submitted",
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List recovery cases in one state, oldest first."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        found = api.call("GET", f"/v1/operator/cases?{urlencode({'state': state})}")
    rows = [(c["account"], c["id"], moment(c["opened_at"]), ", ".join(c["environments"])) for c in found["cases"]]
    tell(found, as_json=as_json, lines=table(("account", "case", "opened", "lost"), rows, nothing="There are none."))


@app.command("case")
def case_(
    account: Subject,
    case: Case,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show a recovery case."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        found = api.call("GET", _case(account, case))
    tell(found, as_json=as_json, lines=case_lines(found))


@app.command("open")
def open_(
    account: Subject,
    environment: Annotated[list[str], typer.Option(help="What was lost; repeat it for several.")],
    statement: Annotated[str, typer.Option(help="What happened, as the owner says it.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Open a case for somebody who cannot sign in. Who opens a case cannot approve it."""
    body = {"environments": environment, "statement": statement}
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        made = api.call("POST", f"/v1/operator/accounts/{account}/cases", body)
    tell(made, as_json=as_json, lines=case_lines(made))


@app.command("add")
def add(
    account: Subject,
    case: Case,
    kind: Annotated[str, typer.Argument(help="identity or ownership.")],
    file: Annotated[Path, typer.Argument(help="A JPEG or PNG picture.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Bring a document to a case that you opened for somebody."""
    content, media = picture(file)
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        done = api.send(_case(account, case, f"/documents?{urlencode({'kind': kind})}"), content, media)
    tell(done, as_json=as_json, lines=[f"Document {done['id']} was taken ({done['kind']})."])


@app.command("submit")
def submit(
    account: Subject,
    case: Case,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Hand in a case that you opened for somebody; two other agents decide about it."""
    where = (login, api_url, password_file, login_code_file, config)
    done = _decide(_case(account, case, "/submission"), None, where)
    tell(done, as_json=as_json, lines=case_lines(done))


@app.command("view")
def view(
    account: Subject,
    case: Case,
    document: Annotated[str, typer.Argument(help="Id of the document.")],
    reason: Why,
    out: Annotated[Path, typer.Option(help="Where to write the picture; it must not be there yet.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write a document to a file of yours, to be looked at and deleted. The look and its reason are on record."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        content = api.fetch("POST", _case(account, case, f"/documents/{document}/view"), {"reason": reason})
    try:
        out.touch(mode=0o600, exist_ok=False)
        out.write_bytes(content)
    except OSError as problem:
        raise CommandError(f"{out} cannot be written: {problem.strerror}", exit_code=Exit.USAGE) from None
    tell({"file": str(out), "bytes": len(content)}, as_json=as_json, lines=[f"Written to {out}."])


def _decide(
    path: str, body: dict[str, Any] | None, where: tuple[str | None, str | None, Path | None, Path | None, Path | None]
) -> dict[str, Any]:
    with signed_in(*where) as api:
        return api.call("POST", path, body)


@app.command("approve")
def approve(
    account: Subject,
    case: Case,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Approve a case, as the first or the second agent."""
    where = (login, api_url, password_file, login_code_file, config)
    done = _decide(_case(account, case, "/approval"), None, where)
    tell(done, as_json=as_json, lines=case_lines(done))


@app.command("refuse")
def refuse(
    account: Subject,
    case: Case,
    reason: Why,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Refuse a case."""
    where = (login, api_url, password_file, login_code_file, config)
    done = _decide(_case(account, case, "/refusal"), {"reason": reason}, where)
    tell(done, as_json=as_json, lines=case_lines(done))


@app.command("link")
def link(
    account: Subject,
    case: Case,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Have the enrolment link of a ready case sent to the owner's addresses again."""
    where = (login, api_url, password_file, login_code_file, config)
    done = _decide(_case(account, case, "/link"), None, where)
    sentence = f"A link is on its way to the owner's addresses, good until {moment(done['expires_at'])} UTC."
    tell(done, as_json=as_json, lines=[sentence])
