"""`leverlock doctor`: is this deployment fit to serve? And `leverlock healthcheck`: does the running one answer?"""

from __future__ import annotations

import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, refused, table, tell
from leverlock.domain.errors import Refused

if TYPE_CHECKING:
    from leverlock.config import Settings
    from leverlock.domain.policy import Policy
    from leverlock.settings_sources import Loaded

FREE_BYTES_WARN = 1024**3
FREE_BYTES_FAIL = 50 * 1024**2


class Verdict(StrEnum):
    """How a check came out. Only `BAD` makes `doctor` end with another code than 0."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, how it is, and in a sentence why or what to do."""

    name: str
    verdict: Verdict
    detail: str


def doctor(config: Config = None, as_json: Json = False) -> None:
    """Check settings, keyring, database, clock, policy, disk and venues. Ends with 1 where something is bad."""
    loaded = load(config)
    settings = loaded.settings
    checks = [*_settings(loaded), *_keyring(settings), *_database(settings), *_policy(settings)]
    checks += [*_disk(settings), *_server(settings)]
    if all(check.verdict is not Verdict.BAD for check in checks):
        checks += _venues(settings)
    bad = any(check.verdict is Verdict.BAD for check in checks)
    document = {"fit": not bad, "checks": [{"check": c.name, "verdict": c.verdict, "detail": c.detail} for c in checks]}
    rows = [(check.verdict, check.name, check.detail) for check in checks]
    tell(document, as_json=as_json, lines=table(("", "check", ""), rows, nothing=""))
    if bad:
        raise typer.Exit(int(Exit.REFUSED))


def healthcheck(config: Config = None, as_json: Json = False) -> None:
    """Ask the running server whether it is ready. For containers and supervisors."""
    from leverlock.cli.api_client import ApiClient

    answer = ApiClient(_local_api(load(config).settings), probe=True).call("GET", "/readyz")
    tell(answer, as_json=as_json, lines=[str(answer["status"])])


def _local_api(settings: Settings) -> str:
    from leverlock.cli.connection import ask_server
    from leverlock.urls import local_url

    if settings.server.api_port != 0:
        return local_url(settings, "api")
    found = ask_server(settings.admin.socket, "GET", "/")
    if found is None:
        raise CommandError("no server is running", exit_code=Exit.UNAVAILABLE)
    return local_url(settings, "api", listening=tuple(found["listening"]["api"]))


def _settings(loaded: Loaded) -> Iterator[Check]:
    where = "no file; defaults and the environment" if loaded.file is None else str(loaded.file)
    yield Check("settings", Verdict.GOOD, where)
    written = [name for name, source in loaded.origins.items() if source == str(loaded.file) and "password" in name]
    if loaded.file is not None and written and _others_may_read(loaded.file):
        yield Check("settings", Verdict.WARN, f"{loaded.file} holds {', '.join(written)} and others may read it")
    if loaded.settings.server.unsafe_plain_http:
        yield Check("settings", Verdict.WARN, "unsafe_plain_http: something in front of the server must add TLS")


def _keyring(settings: Settings) -> Iterator[Check]:
    from leverlock.store.sealing import Keyring, KeyringError

    try:
        keyring = Keyring.load(settings.keyring.path)
    except KeyringError as problem:
        yield Check("keyring", Verdict.BAD, str(problem))
        return
    yield Check("keyring", Verdict.GOOD, f"{settings.keyring.path}, current key {keyring.current}")


def _database(settings: Settings) -> Iterator[Check]:
    from leverlock.store.inspection import inspect

    path = settings.store.path
    try:
        found = inspect(path)
    except (sqlite3.Error, FileNotFoundError) as problem:
        yield Check("database", Verdict.BAD, str(problem))
        return
    if found.damage:
        yield Check("database", Verdict.BAD, f"{path} is damaged: {'; '.join(found.damage)}; restore a backup")
    elif found.schema > found.schema_known:
        yield Check("database", Verdict.BAD, f"schema {found.schema} is newer than this release ({found.schema_known})")
    else:
        behind = "" if found.schema == found.schema_known else f"; `serve` will bring it to {found.schema_known}"
        yield Check("database", Verdict.GOOD, f"{path} is whole, schema {found.schema}{behind}")
    if _others_may_read(path):
        yield Check("database", Verdict.WARN, f"others may read {path}: chmod 600")
    behind_ms = found.seen_until_ms - time.time_ns() // 1_000_000
    if behind_ms > settings.limits.clock_back_ms:
        detail = f"{behind_ms / 1000:.0f} s behind what the database has seen; no code can be judged until it is right"
        yield Check("clock", Verdict.BAD, detail)
    else:
        yield Check("clock", Verdict.GOOD, "not behind what the database has seen")


def _policy(settings: Settings) -> Iterator[Check]:
    from leverlock.policy_office import StartRefused, read_policy
    from leverlock.store.inspection import inspect

    try:
        policy = read_policy(settings.policy)
    except StartRefused as problem:
        yield Check("policy", Verdict.BAD, str(problem))
        return
    yield Check("policy", Verdict.GOOD, f"{policy.name}, version {policy.version}")
    for action in sorted(policy.unsafe_allow):
        yield Check("policy", Verdict.WARN, f"{action} is left open on purpose (unsafe_allow)")
    try:
        found = inspect(settings.store.path)
    except (sqlite3.Error, FileNotFoundError):
        return
    if found.policy_version not in (None, policy.version):
        yield _another_in_force(policy, str(found.policy_version), found.policy_text)


def _another_in_force(policy: Policy, version: str, text: str | None) -> Check:
    from leverlock.domain.policy_compare import weakenings
    from leverlock.domain.policy_file import PolicyError, load_policy

    name, in_force = "policy", f"in force is version {version}"
    try:
        weaker = [] if text is None else weakenings(load_policy(text, whole=False), policy)
    except PolicyError as problem:
        return Check(name, Verdict.BAD, f"{in_force}, which this release cannot read: {problem}")
    if not weaker:
        return Check(name, Verdict.WARN, f"{in_force}; the file's takes over at the next start")
    detail = f"{in_force} and it stays: the file's demands less and needs two operators and a day; {weaker[0]}"
    return Check(name, Verdict.WARN, detail)


def _disk(settings: Settings) -> Iterator[Check]:
    folders = {settings.store.path.parent, settings.checkpoint.file.parent}
    for folder in sorted(folders):
        try:
            free = shutil.disk_usage(folder).free
        except OSError as problem:
            yield Check("disk", Verdict.BAD, f"{folder}: {problem.strerror}")
            continue
        verdict = Verdict.BAD if free < FREE_BYTES_FAIL else Verdict.WARN if free < FREE_BYTES_WARN else Verdict.GOOD
        yield Check("disk", verdict, f"{free // 1024**2} MB free at {folder}")


def _server(settings: Settings) -> Iterator[Check]:
    from leverlock.cli.connection import ask_server

    try:
        found = ask_server(settings.admin.socket, "GET", "/")
    except CommandError as problem:
        yield Check("server", Verdict.WARN, str(problem))
        return
    running = "not running" if found is None else f"running, process {found['pid']}, API at {found['addresses']['api']}"
    yield Check("server", Verdict.GOOD, running)


def _venues(settings: Settings) -> Iterator[Check]:
    from leverlock.cli.connection import perform

    for venue in perform(settings, "venue.list")["venues"]:
        name = f"venue {venue['label']}"
        try:
            check = perform(settings, "venue.test", venue=venue["venue"])["check"]
        except Refused as problem:
            yield Check(name, Verdict.BAD, str(refused(problem)))
            continue
        if check["accepted"]:
            yield Check(name, Verdict.GOOD, f"accepts its key, clock {check['clock_offset_ms']:+d} ms from ours")
        else:
            yield Check(name, Verdict.BAD, "refuses its key" if check["accepted"] is False else "does not answer")
        for warning in check["warnings"]:
            yield Check(name, Verdict.WARN, warning)


def _others_may_read(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
