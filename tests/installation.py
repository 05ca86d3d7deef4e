"""An installation as its operator sees it: a folder, a settings file, commands, and a server that may run or not.

    installation = Installation.make(tmp_path)
    installation("account", "create", "alice")        # in this process: a command's exit code, output and errors
    with installation.serving() as server:             # a process of its own, on free ports
        installation("account", "list")               # the same command, now done by the server
        server.addresses["api"]

Passwords and secrets are given as an operator gives them: in files or environment variables.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leverlock.cli.main import run

PASSWORD = "correct horse battery"
SOURCE = Path(__file__).resolve().parent.parent / "src"
FREE_PORTS = {f"LEVERLOCK__SERVER__{door}_PORT": "0" for door in ("API", "GATEWAY", "METRICS")}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """What `--json` says of an error."""
        found: dict[str, Any] = json.loads(self.err.strip().splitlines()[-1])["error"]
        return found


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    addresses: dict[str, Any]
    log_file: Path

    def log(self) -> list[dict[str, Any]]:
        """Its log, line by line; fails where a line is no JSON."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(15)


@dataclass
class Installation:
    """Commands run in `folder`, with `environment` added to an environment without any of our variables."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, *, policy: str = "literal") -> Installation:
        """A new one, set up by `leverlock init`."""
        made = cls(folder, dict(FREE_PORTS))
        password = folder / "password"
        password.write_text(PASSWORD + "\n")
        made.environment["LEVERLOCK_PASSWORD_FILE"] = str(password)
        ended = made("init", "--policy", policy)
        assert ended.code == 0, ended
        return made

    @property
    def home(self) -> Path:
        return self.folder / ".leverlock"

    def __call__(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command in this process."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ)
        directory = Path.cwd()
        keep_stdin = sys.stdin
        try:
            os.environ.clear()
            os.environ.update(self.variables(environment))
            os.chdir(self.folder)
            sys.stdin = io.StringIO(stdin)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    run(arguments)
                    code = 0
                except SystemExit as ended:
                    code = ended.code if isinstance(ended.code, int) else 1
        finally:
            sys.stdin = keep_stdin
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(before)
        return Ended(code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:
        """The document of a command that has to succeed."""
        ended = self(*arguments, "--json", environment=environment)
        assert ended.code == 0, ended
        return ended.json

    def process(
        self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None, timeout: float = 30
    ) -> Ended:
        """Run a command as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "leverlock", *arguments],
            cwd=self.folder,
            env=self.variables(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def serving(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
        """A server of this installation, ready; stopped at the end."""
        server = self.start(*arguments, environment=environment)
        try:
            yield server
        finally:
            server.stop()

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Server:
        """Start a server and wait until it is ready."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        log_file = self.folder / "server.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "leverlock", "serve", "--ready-file", str(ready), *arguments],
                cwd=self.folder,
                env=self.variables(environment),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise RuntimeError(f"the server did not start: {log_file.read_text()}")
            time.sleep(0.01)
        return Server(process, json.loads(ready.read_text()), log_file)

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a process of this installation."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEVERLOCK_")}
        return {**kept, "PYTHONPATH": str(SOURCE), **self.environment, **(more or {})}
