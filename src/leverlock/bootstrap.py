"""The only place that joins ports to adapters: settings become services, services become doors."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from leverlock import logs
from leverlock.admin.desk import Desk, VenueFindings
from leverlock.app.alarms import report_broken
from leverlock.checkpoints import CheckpointMaker
from leverlock.config import Settings
from leverlock.documents.vault import Vault
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.policy_holder import PolicyHolder
from leverlock.policy_office import StartRefused, read_policy, take_office
from leverlock.ports import World
from leverlock.ports_security_keys import RelyingParty
from leverlock.ports_sms import SmsTerms
from leverlock.serving import (
    CannotListen,
    Listener,
    StopSignal,
    address,
    ended,
    listen_tcp,
    listen_unix,
    open_doors,
    settle_memory,
    write_ready_file,
)
from leverlock.store.connection import NotDurable
from leverlock.store.host import SystemClock, SystemEntropy
from leverlock.store.migrate import SchemaError
from leverlock.store.sealing import Keyring, KeyringError, KeyringSealer
from leverlock.store.snapshot import Snapshot
from leverlock.store.sqlite import SqliteStore
from leverlock.urls import approval_url, public_bases, public_url, reached_at
from leverlock.verifiers.host_statement import HostStatementVerifier
from leverlock.verifiers.password import PasswordHasher
from leverlock.verifiers.totp import TotpVerifier

_log = structlog.get_logger("leverlock.server")


@dataclass(frozen=True)
class Services:
    """What every door and every command stands on. Opened by `open_services`, closed by `close`."""

    settings: Settings
    clock: SystemClock
    keyring: Keyring
    store: SqliteStore
    passwords: PasswordHasher
    policy: PolicyHolder
    world: World
    sealer: KeyringSealer

    def desk(self) -> Desk:
        """The desk at which this machine's commands are done."""
        by = f"command:{_user()}"
        return Desk(self.store, self.world, self.clock, self.passwords, self._probe, self.sealer, by)

    async def _probe(
        self, *, base_urls: Mapping[str, str], api_key: str, algorithm: KeyAlgorithm, secret: bytes
    ) -> VenueFindings:
        # Here and not above: commands that ask no venue need no HTTP client, which is slow to import.
        from leverlock.gateway.binance.key_check import KeyCheck

        check = KeyCheck(self.clock.now_ms, **self.upstream_options())
        return await check(base_urls=base_urls, api_key=api_key, algorithm=algorithm, secret=secret)

    def upstream_options(self) -> dict[str, Any]:
        """How the venues are reached: the options of every `Upstream`."""
        venue = self.settings.venue
        return {
            "ca_file": venue.ca_file,
            "connect_seconds": venue.connect_seconds,
            "total_seconds": venue.total_seconds,
            "connections": venue.connections,
            "unsafe_plain_http": venue.unsafe_plain_http,
        }

    def checkpoints(self) -> CheckpointMaker:
        """What seals the audit trail."""
        return CheckpointMaker(self.store, self.settings.checkpoint.file, signing_key=self.keyring.signing_key)

    def close(self) -> None:
        """Finish what is queued and let go of the files."""
        self.store.close()
        self.passwords.close()


def open_services(settings: Settings, *, api_url: str | None = None) -> Services:
    """Open keyring, policy and database. Raises StartRefused, with the reason, for any that cannot be trusted.

    `api_url` is where the API really listens, when the settings leave the port open.
    """
    from leverlock.verifiers.webauthn import WebAuthnVerifier  # slow to import

    clock, entropy = SystemClock(), SystemEntropy()
    policy = PolicyHolder(read_policy(settings.policy))
    try:
        keyring = Keyring.load(settings.keyring.path)
    except KeyringError as problem:
        raise StartRefused(f"{problem}\nA new deployment gets its keyring from `leverlock init`.") from None
    sealer = KeyringSealer(keyring, entropy=entropy, path=settings.keyring.path)
    store = SqliteStore(settings.store.path, clock=clock, limits=settings.limits)
    try:
        store.start()
    except (FileNotFoundError, SchemaError, NotDurable) as problem:
        raise StartRefused(str(problem)) from None
    except sqlite3.Error as problem:
        raise StartRefused(f"the database {settings.store.path} cannot be opened: {problem}") from None
    approvals = approval_url(settings, api_url or public_url(settings, "api"))
    world = World(
        policy=policy,
        limits=settings.limits,
        sealer=sealer,
        entropy=entropy,
        totp=TotpVerifier(sealer, window=settings.limits.totp_window),
        security_keys=WebAuthnVerifier(relying_party(settings)),
        statements=HostStatementVerifier(audience=api_url or public_url(settings, "api"), limits=settings.limits),
        issuer=settings.issuer,
        compact_issuer=settings.issuer_style == "compact",
        approval_url=approvals,
        sms=_sms_terms(settings, sealer, approvals),
    )
    return Services(settings, clock, keyring, store, PasswordHasher(), policy, world, sealer)


def relying_party(settings: Settings) -> RelyingParty:
    """Who we are to security keys."""
    keys = settings.security_keys
    return RelyingParty(
        keys.rp_id,
        keys.rp_name or settings.issuer,
        keys.origins,
        device_bound=keys.device_bound,
        user_verification=keys.user_verification == "required",
    )


def run_server(
    settings: Settings, *, ready_file: Path | None = None, on_ready: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Serve until a signal. Raises StartRefused before anything is served, RuntimeError when a part broke later."""
    import uvloop

    logs.configure(settings.logging.level, settings.logging.format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, ready_file=ready_file, on_ready=on_ready))
    except CannotListen as problem:
        raise StartRefused(str(problem)) from None
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


async def serve(
    settings: Settings, *, ready_file: Path | None, on_ready: Callable[[dict[str, Any]], None] | None
) -> None:
    """Open everything, tell that it is ready, and wait for a signal; then close it all in the opposite order."""
    stop = StopSignal()
    with _sockets(settings) as sockets:
        addresses = reached_at(settings, {name: address(found) for name, found in sockets.items() if name != "admin"})
        services = open_services(settings, api_url=addresses["api"])
        try:
            await take_office(services.store, services.world, services.policy, services.clock, services.checkpoints())
            async with AsyncExitStack() as stack:
                doors = await _doors(services, sockets, addresses, stack)
                broken = await stack.enter_async_context(open_doors(doors, stop_seconds=settings.server.stop_seconds))
                settle_memory()
                document = {"pid": os.getpid(), **addresses}
                if ready_file is not None:
                    await asyncio.to_thread(write_ready_file, ready_file, document)
                if on_ready is not None:
                    on_ready(document)
                _log.info("ready", policy=services.policy().name, **document)
                _log.info("stopping", because=await stop.wait(broken))
        finally:
            services.close()
            _log.info("stopped")


@contextmanager
def _sockets(settings: Settings) -> Iterator[dict[str, socket.socket]]:
    """Every socket of the server, or none: an address in use is told before anything else is opened."""
    server = settings.server
    places = {
        "api": (server.api_host, server.api_port),
        "gateway": (server.gateway_host, server.gateway_port),
        "metrics": (server.metrics_host, server.metrics_port),
    }
    with ExitStack() as stack:
        opened = {"admin": stack.enter_context(listen_unix(settings.admin.socket))}
        for door, (host, port) in places.items():
            opened[door] = stack.enter_context(listen_tcp(host, port))
        yield opened


async def _doors(
    services: Services, sockets: Mapping[str, socket.socket], addresses: Mapping[str, str], stack: AsyncExitStack
) -> list[Listener]:
    """The four applications, and what runs beside them; `stack` ends it all when the doors are shut."""
    from leverlock import metrics
    from leverlock.admin.app import AdminApp
    from leverlock.api import app as api
    from leverlock.api.endpoint import ApiParts
    from leverlock.gateway.app import Gateway, GatewayParts
    from leverlock.gateway.http_protocol import StrictHttpProtocol, UploadHttpProtocol
    from leverlock.gateway.venue import Venues

    settings, store, world = services.settings, services.store, services.world
    pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="leverlock-draw"))
    broken = report_broken(world, by="server:snapshot")
    snapshot = Snapshot(store, world.sealer, services.clock, settings.limits, broken=broken)
    await snapshot.refresh()
    vault = Vault(settings.recovery.documents)
    await _start_chores(services, vault, stack, api_url=addresses["api"])
    venues = await stack.enter_async_context(Venues(services.clock, **services.upstream_options()))
    parts = GatewayParts(store, world, snapshot, services.clock, venues, _Meter(), public_bases(settings.venue))
    gateway = Gateway(parts)
    metrics.watch_store(store)
    keep = asyncio.create_task(parts.spared.keep(store), name="legacy-uses")
    stack.push_async_callback(ended, keep)
    follow = asyncio.create_task(snapshot.follow(), name="snapshot")
    stack.push_async_callback(ended, follow)
    policy = asyncio.create_task(services.policy.follow(store, snapshot), name="policy")
    stack.push_async_callback(ended, policy)
    about = {"addresses": addresses, "listening": {name: address(sockets[name]) for name in ("api", "gateway")}}
    tls = {"tls_certificate": settings.server.tls_certificate, "tls_key": settings.server.tls_key}
    try:
        api_app = api.create_app(ApiParts(store, world, services.passwords, snapshot, pool, vault))
    except ValueError as problem:
        raise StartRefused(str(problem)) from None
    return [
        Listener("admin", AdminApp(services.desk(), about=about), sockets["admin"], StrictHttpProtocol),
        Listener("api", api_app, sockets["api"], UploadHttpProtocol, needs=follow, **tls),
        Listener("gateway", gateway, sockets["gateway"], StrictHttpProtocol, needs=follow, **tls),
        Listener("metrics", metrics.create_metrics_app(), sockets["metrics"], StrictHttpProtocol),
    ]


async def _start_chores(services: Services, vault: Vault, stack: AsyncExitStack, *, api_url: str) -> None:
    """Rings and notices, checkpoints, the sweep. Another process on the same store may be doing them: then it waits."""
    from leverlock.background import Background, standard_chores
    from leverlock.clock_watch import ClockWatch
    from leverlock.delivery import CannotDeliver, open_messengers
    from leverlock.desk_chores import desk_chores
    from leverlock.legacy_chores import legacy_chores
    from leverlock.messengers.outbox import Outbox

    settings = services.settings
    try:
        messengers = await open_messengers(
            settings, services.world, services.clock, stack, store=services.store, api_url=api_url
        )
    except CannotDeliver as problem:
        raise StartRefused(str(problem)) from None
    outbox = Outbox(services.store, messengers, clock=services.clock)
    lock_file = settings.store.path.with_name(settings.store.path.name + ".turn")
    watch, checkpoints = ClockWatch(services.store, services.clock), services.checkpoints()
    chores = standard_chores(services.store, services.world, outbox=outbox, checkpoints=checkpoints, watch=watch)
    chores += desk_chores(services.store, services.world, vault, services.clock)
    chores += legacy_chores(services.store, services.world)
    background = Background(chores, clock=services.clock, lock_file=lock_file)
    background.start()
    stack.push_async_callback(background.stop)


def _sms_terms(settings: Settings, sealer: KeyringSealer, approvals: str) -> SmsTerms | None:
    if not settings.sms.enabled:
        return None
    from leverlock.sms_setup import sms_terms

    return sms_terms(settings.sms, sealer=sealer, approval_url=approvals)


class _Meter:
    """Counts the gateway's decisions beside the API's; finding a counter costs more than counting."""

    def __init__(self) -> None:
        from leverlock.metrics import DECISIONS

        self._counter = cache(DECISIONS.labels)  # as many as there are words in three closed lists

    def decision(self, outcome: str, why: str, action: str) -> None:
        self._counter(outcome, why, action).inc()


def _user() -> str:
    """The user of this machine, by name where there is one."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
