"""The only place that joins ports to adapters: settings become services, services become doors."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import structlog

from leverlock import logs
from leverlock.admin.desk import Desk, VenueFindings
from leverlock.app.policies import put_in_force
from leverlock.config import SHIPPED_POLICIES, Settings
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy import Policy
from leverlock.domain.policy_file import PolicyError, load_policy
from leverlock.ports import World
from leverlock.serving import (
    CannotListen,
    Door,
    address,
    listen_tcp,
    listen_unix,
    open_doors,
    until_stopped,
    write_ready_file,
)
from leverlock.store.host import SystemClock, SystemEntropy
from leverlock.store.migrate import SchemaError
from leverlock.store.sealing import Keyring, KeyringError, KeyringSealer
from leverlock.store.snapshot import Snapshot
from leverlock.store.sqlite import SqliteStore
from leverlock.verifiers.password import PasswordHasher
from leverlock.verifiers.totp import TotpVerifier

_log = structlog.get_logger("leverlock.server")

_WHY_NOT: Final = {
    Reason.CLOCK_BEHIND: "this machine's clock runs behind what the database has seen already; set it right first",
    Reason.STORE_UNAVAILABLE: "the database cannot be written; nothing could be made durable",
}


class StartRefused(Exception):
    """The program does not start like this. The message names what, where, and what to do about it."""


@dataclass(frozen=True)
class Services:
    """What every door and every command stands on. Opened by `open_services`, closed by `close`."""

    settings: Settings
    clock: SystemClock
    keyring: Keyring
    store: SqliteStore
    passwords: PasswordHasher
    policy: Policy
    world: World

    def desk(self) -> Desk:
        """The desk at which this machine's commands are done."""
        return Desk(self.store, self.world, self.passwords, self._probe, f"command:{_user()}")

    async def _probe(
        self, *, base_urls: Mapping[str, str], api_key: str, algorithm: KeyAlgorithm, secret: bytes
    ) -> VenueFindings:
        # Here and not above: commands that ask no venue need no HTTP client, which is slow to import.
        from leverlock.gateway.binance.key_check import KeyCheck

        venue = self.settings.venue
        check = KeyCheck(
            self.clock.now_ms,
            ca_file=venue.ca_file,
            connect_seconds=venue.connect_seconds,
            total_seconds=venue.total_seconds,
            unsafe_plain_http=venue.unsafe_plain_http,
        )
        return await check(base_urls=base_urls, api_key=api_key, algorithm=algorithm, secret=secret)

    def close(self) -> None:
        """Finish what is queued and let go of the files."""
        self.store.close()
        self.passwords.close()


def open_services(settings: Settings, *, api_url: str | None = None) -> Services:
    """Open keyring, policy and database. Raises StartRefused, with the reason, for any that cannot be trusted.

    `api_url` is where the API really listens, when the settings leave the port open.
    """
    clock, entropy = SystemClock(), SystemEntropy()
    policy = read_policy(settings.policy)
    try:
        keyring = Keyring.load(settings.keyring.path)
    except KeyringError as problem:
        raise StartRefused(f"{problem}\nA new deployment gets its keyring from `leverlock init`.") from None
    sealer = KeyringSealer(keyring, entropy=entropy)
    store = SqliteStore(settings.store.path, clock=clock, limits=settings.limits)
    try:
        store.start()
    except (FileNotFoundError, SchemaError) as problem:
        raise StartRefused(str(problem)) from None
    except sqlite3.Error as problem:
        raise StartRefused(f"the database {settings.store.path} cannot be opened: {problem}") from None
    world = World(
        policy=lambda: policy,
        limits=settings.limits,
        sealer=sealer,
        entropy=entropy,
        totp=TotpVerifier(sealer, window=settings.limits.totp_window),
        issuer=settings.issuer,
        approval_url=approval_url(settings, api_url or public_url(settings, "api")),
    )
    return Services(settings, clock, keyring, store, PasswordHasher(), policy, world)


def run_server(
    settings: Settings, *, ready_file: Path | None = None, on_ready: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Serve until a signal. Raises StartRefused before anything is served, RuntimeError when a part broke later."""
    import uvloop

    logs.configure(settings.logging.level, settings.logging.format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, ready_file=ready_file, on_ready=on_ready))
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


async def serve(
    settings: Settings, *, ready_file: Path | None, on_ready: Callable[[dict[str, Any]], None] | None
) -> None:
    """Open everything, tell that it is ready, and wait for a signal; then close it all in the opposite order."""
    with Listeners.bind(settings) as listeners:
        services = open_services(settings, api_url=listeners.url(settings, "api"))
        try:
            await _take_office(services)
            snapshot = Snapshot(services.store, services.world.sealer, services.clock, settings.limits)
            await snapshot.refresh()
            doors = _doors(services, snapshot, listeners)
            async with (
                open_doors(doors, stop_seconds=settings.server.stop_seconds),
                _kept_up(snapshot.follow) as broken,
            ):
                document = {"pid": os.getpid(), **listeners.addresses(settings)}
                if ready_file is not None:
                    write_ready_file(ready_file, document)
                if on_ready is not None:
                    on_ready(document)
                _log.info("ready", policy=services.policy.name, **document)
                _log.info("stopping", because=await _stopped_or(broken))
        finally:
            services.close()
            _log.info("stopped")


@dataclass
class Listeners:
    """The sockets of a server, bound before anything else is opened."""

    tcp: dict[str, socket.socket]
    admin: socket.socket
    admin_path: Path

    @classmethod
    @contextmanager
    def bind(cls, settings: Settings) -> Iterator[Listeners]:
        """Bind all of them, or none. Raises StartRefused."""
        opened: dict[str, socket.socket] = {}
        path = settings.admin.socket
        with ExitStack() as stack:
            try:
                admin = stack.enter_context(listen_unix(path))
                stack.callback(path.unlink, missing_ok=True)
                for door in ("api", "gateway", "metrics"):
                    host, port = getattr(settings.server, f"{door}_host"), getattr(settings.server, f"{door}_port")
                    opened[door] = stack.enter_context(listen_tcp(host, port))
            except CannotListen as problem:
                raise StartRefused(str(problem)) from None
            yield cls(opened, admin, path)

    def url(self, settings: Settings, door: str) -> str:
        return public_url(settings, door, port=address(self.tcp[door])[1])

    def addresses(self, settings: Settings) -> dict[str, str]:
        host, port = address(self.tcp["metrics"])
        metrics = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return {
            "api": self.url(settings, "api"),
            "gateway": self.url(settings, "gateway"),
            "metrics": metrics,
            "admin": str(self.admin_path),
        }


async def _take_office(services: Services) -> None:
    """Put the loaded policy in force. It is the first write, so clock and disk are tried with it."""
    try:
        before = await services.store.run(lambda tx: put_in_force(tx, policy=services.policy, by="server:start"))
    except Refused as problem:
        raise StartRefused(_WHY_NOT.get(problem.reason, "{detail}").format(detail=problem.detail)) from None
    if before is not None:
        _log.warning("policy in force", policy=services.policy.name, version=services.policy.version, before=before)
    for action in sorted(services.policy.unsafe_allow):
        _log.warning("left open on purpose (unsafe_allow)", action=action)


def _doors(services: Services, snapshot: Snapshot, listeners: Listeners) -> list[Door]:
    from leverlock.admin.app import AdminApp
    from leverlock.gateway.http_protocol import StrictHttpProtocol

    admin = AdminApp(services.desk(), addresses=listeners.addresses(services.settings))
    return [Door("admin", admin, listeners.admin, StrictHttpProtocol)]


@asynccontextmanager
async def _kept_up(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[asyncio.Future[str]]:
    """Run what has to run beside the doors. The future tells which of it broke: then the server must stop, because
    without it decisions would be made from what nobody keeps true."""
    broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not broken.done():
            _log.error("a part of the server broke", part=task.get_name(), exc_info=task.exception())
            broken.set_result(task.get_name())

    tasks = [asyncio.create_task(work(), name=work.__qualname__) for work in works]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield broken
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _stopped_or(broken: asyncio.Future[str]) -> str:
    """Wait for a signal, or for a part to break; in the second case raises RuntimeError."""
    signalled = asyncio.ensure_future(until_stopped())
    await asyncio.wait({signalled, broken}, return_when=asyncio.FIRST_COMPLETED)
    if broken.done():
        signalled.cancel()
        raise RuntimeError(f"{broken.result()} broke; see the log")
    return signalled.result()


def read_policy(name: str) -> Policy:
    """A shipped policy by its word, or the policy in the file of that path. Raises StartRefused."""
    try:
        return load_policy(policy_source(name))
    except PolicyError as problem:
        raise StartRefused(f"the policy {name} was refused: {problem}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise StartRefused(f"the policy {name} cannot be read: {problem}") from None


def policy_source(name: str) -> str:
    """The text of a policy file. Raises OSError or UnicodeDecodeError."""
    if name in SHIPPED_POLICIES:
        return files("leverlock").joinpath("policies", f"{name}.toml").read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")


def public_url(settings: Settings, door: str, *, port: int | None = None) -> str:
    """Where people and programs reach the API or the gateway: as set, else as listened on."""
    server = settings.server
    told: str | None = getattr(server, f"{door}_url")
    if told is not None:
        return told
    host = getattr(server, f"{door}_host")
    scheme = "http" if server.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or getattr(server, f'{door}_port')}"


def approval_url(settings: Settings, api_url: str) -> str:
    """The link that a ring carries, with `{challenge}` where the challenge's id goes."""
    return settings.server.approval_url or f"{api_url}/v1/challenges/{{challenge}}"


def _user() -> str:
    """The user of this machine, by name where there is one."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
