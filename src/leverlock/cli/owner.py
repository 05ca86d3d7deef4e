"""The owner at a terminal: where the API is, and the way in."""

from __future__ import annotations

from pathlib import Path

import typer

from leverlock.cli.api_client import ApiClient
from leverlock.cli.options import load
from leverlock.cli.output import CommandError
from leverlock.cli.secret_input import secret


def api_address(config: Path | None) -> str:
    """Where the running server says that its API is; else where the settings say it would be."""
    from leverlock.cli.connection import ask_server
    from leverlock.urls import public_url

    settings = load(config).settings
    told = settings.server.api_url
    if told is None:
        try:
            server = ask_server(settings.admin.socket, "GET", "/")
        except CommandError:
            server = None  # another user's server: its API is for everybody, its admin socket is not
        told = server["addresses"]["api"] if server is not None else None
    return told or public_url(settings, "api")


def sign_in(api: ApiClient, login: str | None, password_file: Path | None, code_file: Path | None) -> str:
    """Open a session and answer the login challenge where there is one; the password, for what demands it anew."""
    name = login or str(typer.prompt("Login", err=True))
    password = secret("password", file=password_file, prompt="Password")
    if api.sign_in(name, password) == "login_challenge":
        ways = [step["path"] for step in api.call("GET", "/v1/sessions/current")["next"]]
        if "/v1/sessions/current/login-challenge" not in ways:
            raise CommandError("this account signs in with a security key, which only a browser can ask")
        code = secret("login_code", file=code_file, prompt="Login code")
        api.call("POST", "/v1/sessions/current/login-challenge", {"code": digits(code)})
    return password


def digits(code: str) -> str:
    """Apps show a code in groups; the blanks between them are not part of it."""
    return code.replace(" ", "")
