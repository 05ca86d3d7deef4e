"""privacyIDEA 3.14, set up as its documentation says and run by gunicorn with two workers: the peer of P2.

SQLite, its default window of 180 s each way, one TOTP token per user. Everything it needs is made in a scratch folder.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from bench import peers
from bench.bare_verification import code_of, seed_of
from bench.load import request
from bench.processes import Program, free_port

USERS = 120
WORKERS = 2
BACK = 5  # steps; its own default window is six each way
REALM = "bench"
CONFIG = """\
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/pi.db"
SECRET_KEY = {secret!r}
PI_PEPPER = {pepper!r}
PI_ENCFILE = "{folder}/enckey"
PI_AUDIT_KEY_PRIVATE = "{folder}/private.pem"
PI_AUDIT_KEY_PUBLIC = "{folder}/public.pem"
PI_LOGFILE = "{folder}/privacyidea.log"
PI_LOGLEVEL = 40
SUPERUSER_REALM = ["super"]
"""
WSGI = """\
from privacyidea.app import create_app
application = create_app(config_name="production", config_file="{folder}/pi.cfg", silent=True)
"""


@dataclass
class Peer:
    """A running privacyIDEA whose users each have a token. `answers` are codes it has not seen."""

    program: Program
    port: int
    last_steps: list[int] = field(default_factory=lambda: [-1] * USERS)

    def answers(self) -> Iterator[bytes]:
        moved = True
        while moved:
            moved = False
            for user in range(USERS):
                current = int(time.time()) // 30
                step = max(self.last_steps[user] + 1, current - BACK)
                if step > current + BACK:
                    continue
                moved, self.last_steps[user] = True, step
                form = {"user": f"user{user}", "realm": REALM, "pass": code_of(seed_of(user), step)}
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                yield request("POST", "/validate/check", headers, urlencode(form).encode())


def start(folder: Path) -> Program:
    """Set it up in `folder` and describe how it is started. Raises CalledProcessError where a step of it fails."""
    manage = peers.program("pi-manage")
    assert manage is not None
    folder.mkdir(mode=0o700)
    names = {"folder": folder, "secret": secrets.token_hex(24), "pepper": secrets.token_hex(24)}
    (folder / "pi.cfg").write_text(CONFIG.format(**names))
    (folder / "bench_wsgi.py").write_text(WSGI.format(folder=folder))
    environment = {**os.environ, "PRIVACYIDEA_CONFIGFILE": str(folder / "pi.cfg")}
    password = secrets.token_hex(12)
    (folder / "admin").write_text(password)
    for step in (
        ["setup", "create_enckey"],
        ["setup", "create_audit_keys"],
        ["setup", "create_tables"],
        ["admin", "add", "bench", "-e", "bench@localhost", "-p", password],
    ):
        subprocess.run([manage, *step], env=environment, check=True, capture_output=True, cwd=folder)
    lines = [f"user{user}:x:{user + 1000}:{user + 1000}:User {user},,,:/:/bin/sh" for user in range(USERS)]
    (folder / "users").write_text("\n".join(lines) + "\n")
    port = free_port()
    gunicorn = peers.program("gunicorn")
    assert gunicorn is not None
    command: list[str | Path] = [
        gunicorn,
        "-w",
        str(WORKERS),
        "-b",
        f"127.0.0.1:{port}",
        "--chdir",
        folder,
        "bench_wsgi:application",
    ]
    return Program(command, log=folder / "log", environment={"HOME": str(folder)}, port=port)


def enrol(program: Program, folder: Path) -> Peer:
    """Over its REST interface: a resolver, a realm, and a TOTP token for every user."""
    assert program.port is not None
    admin = {"username": "bench", "password": (folder / "admin").read_text()}
    token = _call(program.port, "/auth", admin)["value"]["token"]
    _call(program.port, "/resolver/bench", {"type": "passwdresolver", "fileName": str(folder / "users")}, token)
    _call(program.port, f"/realm/{REALM}", {"resolvers": "bench"}, token)
    for user in range(USERS):
        form = {
            "type": "totp",
            "user": f"user{user}",
            "realm": REALM,
            "otpkey": seed_of(user).hex(),
            "genkey": "0",
            "hashlib": "sha1",
            "timeStep": "30",
        }
        _call(program.port, "/token/init", form, token)
    return Peer(program, program.port)


def _call(port: int, path: str, form: dict[str, str], token: str = "") -> dict[str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **({"PI-Authorization": token} if token else {})}
    connection.request("POST", path, urlencode(form), headers)
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    document = json.loads(read)
    if answer.status != 200 or not document["result"]["status"]:
        raise RuntimeError(f"privacyIDEA answered {answer.status} to {path}: {read[:300]!r}")
    result: dict[str, dict[str, str]] = document["result"]
    return result
