"""Operations on venue accounts (whose real key Leverlock holds) and on the gateway keys that reach them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from leverlock.admin.accounts import OfAccount, label
from leverlock.admin.desk import Desk, VenueFindings, account_named
from leverlock.app import api_keys
from leverlock.app.alarms import report_broken
from leverlock.domain.api_key import ApiKey, KeyAlgorithm, Upstream
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.key_terms import KeyTerms, Scope, ranges_of, scopes_of
from leverlock.ports import SealBroken, Transaction
from leverlock.verifiers.public_key import ed25519_public_key

BINANCE = "binance-usdm"
BASES = ("fapi", "sapi", "api")
DATA = "futures"  # `/futures/data/…` is served by the futures host


class ConnectVenue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A venue's own key, taken into custody. `secret` is an HMAC secret, or an Ed25519 private key as PKCS#8 PEM."""

    account: str
    label: str
    base_urls: dict[str, str]
    api_key: str
    secret: str
    algorithm: str = KeyAlgorithm.HMAC_SHA256.value
    dialect: str = BINANCE


async def connect_venue(desk: Desk, wanted: ConnectVenue) -> dict[str, Any]:
    """Ask the venue about the key, then keep it. A key the venue refuses is not kept; an unreachable venue is said."""
    name = label(wanted.label, field="label")
    algorithm = _algorithm(wanted)
    base_urls = {**wanted.base_urls, DATA: wanted.base_urls["fapi"]}
    secret = wanted.secret.strip().encode()
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    try:
        findings = await desk.probe(base_urls=base_urls, api_key=wanted.api_key, algorithm=algorithm, secret=secret)
    except ValueError as problem:
        raise Refused(Reason.MALFORMED, str(problem), field="base_urls") from None
    if findings.accepted is False:
        raise Refused(Reason.NOT_AUTHENTICATED, "the venue refuses this key; nothing was stored", field="api_key")
    upstream = await desk.store.run(
        lambda tx: api_keys.connect_upstream(
            tx,
            desk.world,
            account_id=account_id,
            label=name,
            dialect=wanted.dialect,
            base_urls=base_urls,
            api_key=wanted.api_key,
            algorithm=algorithm,
            secret=secret,
            by=desk.by,
        )
    )
    return {**_upstream(upstream), "check": _findings(findings)}


class ListVenues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those of one account, or all."""

    account: str | None = None


async def list_venues(desk: Desk, wanted: ListVenues) -> dict[str, Any]:
    def found(tx: Transaction) -> list[Upstream]:
        return tx.upstreams(None if wanted.account is None else account_named(tx, wanted.account))

    return {"venues": [_upstream(upstream) for upstream in await desk.store.read(found) if not upstream.removed]}


class NamedVenue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A venue account by its id."""

    venue: str


async def check_venue(desk: Desk, wanted: NamedVenue) -> dict[str, Any]:
    """Ask the venue about the key that is stored. Changes nothing."""
    upstream = await desk.store.read(lambda tx: _venue(tx, wanted.venue))
    try:
        secret = desk.world.sealer.open(upstream.secret, context=upstream.seal_context)
    except SealBroken as problem:
        await desk.store.run(report_broken(desk.world, by=desk.by)(upstream.stored))
        raise Refused(Reason.CONFLICT, f"the stored venue key does not open with this keyring: {problem}") from None
    findings = await desk.probe(
        base_urls=upstream.base_urls, api_key=upstream.api_key, algorithm=upstream.algorithm, secret=secret
    )
    return {**_upstream(upstream), "check": _findings(findings)}


async def remove_venue(desk: Desk, wanted: NamedVenue) -> dict[str, Any]:
    upstream = await desk.store.read(lambda tx: _venue(tx, wanted.venue))
    await desk.store.run(
        lambda tx: api_keys.remove_upstream(
            tx, desk.world, account_id=upstream.account_id, upstream_id=upstream.upstream_id, by=desk.by
        )
    )
    return {"venue": upstream.upstream_id, "removed": True}


class CreateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of ours for one venue account; `venue` may be left out where the account has exactly one.

    `ed25519_public_key` is the client's public key as PEM, or as base64 of its 32 bytes; without it the key is HMAC.
    Without `scopes` it may only read.
    """

    account: str
    label: str
    venue: str | None = None
    ed25519_public_key: str | None = None
    otp_allowed: bool = False
    scopes: tuple[str, ...] = (Scope.READ.value,)
    ips: tuple[str, ...] = ()


async def create_key(desk: Desk, wanted: CreateKey) -> dict[str, Any]:
    name = label(wanted.label, field="label")
    terms = KeyTerms(name, scopes_of(wanted.scopes), ranges_of(wanted.ips), wanted.otp_allowed)
    public_key = None if wanted.ed25519_public_key is None else ed25519_public_key(wanted.ed25519_public_key)

    def reached(tx: Transaction) -> tuple[str, str]:
        account_id = account_named(tx, wanted.account)
        return account_id, wanted.venue or _only_venue(tx, account_id)

    account_id, upstream_id = await desk.store.read(reached)
    created = await desk.store.run(
        lambda tx: api_keys.create_key(
            tx,
            desk.world,
            account_id=account_id,
            upstream_id=upstream_id,
            terms=terms,
            by=desk.by,
            public_key=public_key,
        )
    )
    shown_once = {} if created.secret is None else {"api_secret": created.secret}
    return {**_key(created.key), **shown_once}


async def list_keys(desk: Desk, wanted: OfAccount) -> dict[str, Any]:
    return {"keys": [_key(k) for k in await desk.store.read(lambda tx: tx.keys(account_named(tx, wanted.account)))]}


class RevokeKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: str
    key: str


async def revoke_key(desk: Desk, wanted: RevokeKey) -> dict[str, Any]:
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    await desk.store.run(
        lambda tx: api_keys.revoke_key(tx, desk.world, account_id=account_id, key_id=wanted.key, by=desk.by)
    )
    return {"key": wanted.key, "revoked": True}


def _algorithm(wanted: ConnectVenue) -> KeyAlgorithm:
    if wanted.dialect != BINANCE:
        raise Refused(Reason.MALFORMED, f"the only dialect is {BINANCE}", field="dialect")
    if set(wanted.base_urls) != set(BASES):
        raise Refused(Reason.MALFORMED, f"base_urls names {', '.join(BASES)}", field="base_urls")
    for url in wanted.base_urls.values():
        parts = urlsplit(url)
        if url != f"{parts.scheme}://{parts.netloc}" or not parts.hostname or parts.scheme not in ("http", "https"):
            raise Refused(Reason.MALFORMED, "an address is scheme and host, with nothing after it", field="base_urls")
    if not wanted.api_key.isascii() or not wanted.api_key.isprintable() or not 1 <= len(wanted.api_key) <= 256:
        raise Refused(Reason.MALFORMED, "a venue's key has 1 to 256 printable ASCII characters", field="api_key")
    if not wanted.secret.strip():
        raise Refused(Reason.MALFORMED, "the venue's secret is empty", field="secret")
    try:
        algorithm = KeyAlgorithm(wanted.algorithm)
    except ValueError:
        raise Refused(
            Reason.MALFORMED, f"an algorithm is one of {', '.join(KeyAlgorithm)}", field="algorithm"
        ) from None
    if algorithm is KeyAlgorithm.ED25519:
        _must_be_private_key(wanted.secret)
    return algorithm


def _venue(tx: Transaction, upstream_id: str) -> Upstream:
    for upstream in tx.upstreams(None):
        if upstream.upstream_id == upstream_id and not upstream.removed:
            return upstream
    raise Refused(Reason.UNKNOWN_ID, f"there is no venue account {upstream_id[:64]!r}", field="venue")


def _only_venue(tx: Transaction, account_id: str) -> str:
    found = [upstream for upstream in tx.upstreams(account_id) if not upstream.removed]
    if len(found) != 1:
        what = "has no venue account yet; see `leverlock venue connect`" if not found else "has several venue accounts"
        raise Refused(Reason.MALFORMED, f"the account {what}; name one", field="venue")
    return found[0].upstream_id


def _must_be_private_key(text: str) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.strip().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(Reason.MALFORMED, "expected an Ed25519 private key as PKCS#8 PEM, not encrypted", field="secret")


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "key": key.key_id,
        "api_key": key.api_key,
        "label": key.label,
        "algorithm": key.algorithm.value,
        "state": key.state.value,
        "venue": key.upstream_id,
        "created_at": key.created_at,
        "legacy": key.legacy,
        "otp_allowed": key.otp_allowed,
        "scopes": sorted(key.scopes),
        "ips": list(key.ips),
        "edited_at": key.edited_at,
        "legacy_ends_at": key.legacy_ends_at,
    }


def _upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "venue": upstream.upstream_id,
        "account": upstream.account_id,
        "label": upstream.label,
        "dialect": upstream.dialect,
        "base_urls": upstream.base_urls,
        "api_key": upstream.api_key,
        "algorithm": upstream.algorithm.value,
        "created_at": upstream.created_at,
    }


def _findings(findings: VenueFindings) -> dict[str, Any]:
    return {
        "accepted": findings.accepted,
        "clock_offset_ms": findings.clock_offset_ms,
        "permissions": dict(findings.permissions),
        "warnings": list(findings.warnings),
    }
