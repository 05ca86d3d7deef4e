"""What two operators decide, in a terminal: `leverlock policy propose …` and `leverlock desk role …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from leverlock.cli.desk import ApiUrl, Login, LoginCodeFile, Subject, signed_in
from leverlock.cli.options import Config, Json, PasswordFile
from leverlock.cli.output import CommandError, Exit, moment, table, tell

ProposalId = Annotated[str, typer.Argument(help="The proposal's id.")]
SYSTEM = "system"  # whom a policy is about


def propose(
    file: Annotated[Path, typer.Argument(help="The policy file.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """As an operator: put a policy in force, or propose it where it demands less anywhere than the one that is."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise CommandError(f"{file} cannot be read: {problem}", exit_code=Exit.USAGE) from None
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        done = api.call("POST", "/v1/operator/policy", {"text": text})
    lines = [f"In force is version {done['in_force']}."]
    if "proposal" in done:
        lines += ["It demands less, so it needs a second operator and a day:", *_shown(done["proposal"])]
    tell(done, as_json=as_json, lines=lines)


def proposals(
    state: Annotated[str, typer.Option(help="open, approved, done, refused, expired or superseded.")] = "open",
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """As an operator: list what is proposed, policies and roles."""
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        found = api.call("GET", f"/v1/operator/proposals?{urlencode({'state': state})}")
    lines = [line for one in found["proposals"] for line in _shown(one)]
    tell(found, as_json=as_json, lines=lines or table((), [], nothing="There are none."))


def approve_policy(
    proposal: ProposalId,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """As an operator: be one of the two who agree to a policy. With the second its day begins."""
    where = (login, api_url, password_file, login_code_file, config)
    _decide(SYSTEM, proposal, "approval", where, as_json=as_json)


def refuse_policy(
    proposal: ProposalId,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """As an operator: stop a proposed policy, also while it waits for its day."""
    where = (login, api_url, password_file, login_code_file, config)
    _decide(SYSTEM, proposal, "refusal", where, as_json=as_json)


def role(
    account: Subject,
    role: Annotated[str, typer.Argument(help="support, security or admin; none for no role any more.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Propose that an account has this role. Another operator agrees to it with `leverlock desk agree`."""
    wanted = {"role": None if role == "none" else role}
    with signed_in(login, api_url, password_file, login_code_file, config) as api:
        made = api.call("POST", f"/v1/operator/accounts/{account}/role", wanted)
    tell(made, as_json=as_json, lines=_shown(made))


def agree(
    account: Subject,
    proposal: ProposalId,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Be one of the two who agree to a role. With the second it is given."""
    where = (login, api_url, password_file, login_code_file, config)
    _decide(account, proposal, "approval", where, as_json=as_json)


def decline(
    account: Subject,
    proposal: ProposalId,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Refuse a proposed role, or withdraw your own proposal."""
    where = (login, api_url, password_file, login_code_file, config)
    _decide(account, proposal, "refusal", where, as_json=as_json)


def _decide(
    subject: str,
    proposal: str,
    tail: str,
    where: tuple[str | None, str | None, Path | None, Path | None, Path | None],
    *,
    as_json: bool,
) -> None:
    with signed_in(*where) as api:
        done = api.call("POST", f"/v1/operator/accounts/{subject}/proposals/{proposal}/{tail}")
    tell(done, as_json=as_json, lines=_shown(done))


def _shown(proposal: dict[str, Any]) -> list[str]:
    lines = [f"{proposal['id']} ({proposal['kind']}): {proposal['state']}, {proposal['voices']} of 2 agree"]
    lines += [f"  {point}" for point in proposal["points"]]
    if "due_at" in proposal:
        lines.append(f"  takes effect: {moment(proposal['due_at'])} UTC")
    return lines
