"""The demo's stage: a fresh deployment of ours and a paper venue, each a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leverlock.cli.output import CommandError, Exit

PORTS: Final = {"api": 8700, "gateway": 8701, "metrics": 8702}
START_SECONDS: Final = 30.0
SMS: Final = """
[limits]
sms_resend_ms = 1000

[sms]
enabled = true

[[sms.providers]]
name = "file"
kind = "file"
path = "sms.jsonl"
"""


@dataclass(frozen=True)
class Stage:
    """The running processes, and what the walk needs to reach them."""

    api: str
    gateway: str
    venue: str
    venue_token: str
    config: Path
    environment: dict[str, str]
    sms: Path  # what is sent by SMS, a line each: this machine's provider is a file


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """A fresh deployment in `directory`, and a fresh venue; both end with the block."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    token = secrets.token_urlsafe(24)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEVERLOCK_")}
    paper = [sys.executable, "-m", "leverlock_paper", "--port", "0", "--seed", "7", "--market", "walk"]
    paper += ["--database", str(directory / "paper.db")]
    with _process(directory, "paper", paper, {**inherited, "LEVERLOCK_PAPER_ADMIN_TOKEN": token}) as venue:
        config = directory / "config.toml"
        environment = {**inherited, **_ports(), "LEVERLOCK_CONFIG": str(config.absolute())}
        for host in ("FAPI", "SAPI", "API"):
            environment[f"LEVERLOCK__VENUE__{host}_URL"] = venue["url"]
        ours = [sys.executable, "-m", "leverlock"]
        made = subprocess.run(  # noqa: S603  (our own program)
            [*ours, "init", "--policy", "literal", "--config", str(config)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise CommandError(f"the demo's deployment could not be made: {made.stderr.strip()}")
        with config.open("a", encoding="utf-8") as file:
            file.write(SMS)
        with _process(directory, "server", [*ours, "serve"], environment) as server:
            sms = config.with_name("sms.jsonl")
            yield Stage(server["api"], server["gateway"], venue["url"], token, config, environment, sms)


@contextmanager
def _process(directory: Path, name: str, command: list[str], environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A child process; what it wrote into its ready file. Ends it, and only it, with the block."""
    ready, log = directory / f"{name}.ready.json", directory / f"{name}.log"
    with log.open("ab") as written:
        child = subprocess.Popen(  # noqa: S603  (our own programs)
            [*command, "--ready-file", str(ready)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,  # Ctrl-C is for the demo to handle, in its own order
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if child.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
                raise CommandError(f"the {name} did not start; the end of {log}:\n{tail}", exit_code=Exit.UNAVAILABLE)
            time.sleep(0.02)
        yield json.loads(ready.read_text())
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _ports() -> dict[str, str]:
    """The usual ports where they are free, else any."""
    return {f"LEVERLOCK__SERVER__{door.upper()}_PORT": str(_free(port)) for door, port in PORTS.items()}


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def venue_admin(stage: Stage, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call to the paper venue's own administration: a venue's operator would do this by hand."""
    request = urllib.request.Request(  # noqa: S310  (an address this command has made itself)
        f"{stage.venue}/paper/v1/{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {stage.venue_token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.URLError as problem:
        raise CommandError(f"the paper venue does not answer: {problem}", exit_code=Exit.UNAVAILABLE) from None
