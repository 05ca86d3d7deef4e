"""`leverlock key`: the keys that bots and terminals hold instead of the venue's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Account, Config, Json, load
from leverlock.cli.output import CommandError, Exit, moment, note, table, tell

app = typer.Typer(help="The keys that bots and terminals hold instead of the venue's own.", no_args_is_help=True)


@app.command("create")
def create(
    account: Account,
    label: Annotated[str, typer.Option("--label", "-l", help="What it is for, in your words.")],
    venue: Annotated[
        str | None,
        typer.Option(help="Venue account that it reaches; may be left out if there is one.", show_default=False),
    ] = None,
    ed25519_public_key: Annotated[
        Path | None,
        typer.Option(help="PEM file with the client's public key; without it the key is HMAC.", show_default=False),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do, once for each: read, futures, margin, transfer, withdraw. Without one it may only "
            "read.",
            show_default=False,
        ),
    ] = None,
    ip: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or network that it may be used from, once for each; transfer and withdraw need one.",
            show_default=False,
        ),
    ] = None,
    allow_otp: Annotated[
        bool,
        typer.Option(
            "--allow-otp",
            help="Its calls may carry a code: for a terminal with a person in front, never for a bot.",
        ),
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Issue a key for one venue account. An HMAC secret is shown now and never again."""
    settings = load(config).settings
    public_key = None
    if ed25519_public_key is not None:
        try:
            public_key = ed25519_public_key.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as problem:
            raise CommandError(f"{ed25519_public_key} cannot be read: {problem}", exit_code=Exit.USAGE) from None
    made = perform(
        settings,
        "key.create",
        account=account,
        label=label,
        venue=venue,
        ed25519_public_key=public_key,
        otp_allowed=allow_otp,
        scopes=scope or ["read"],
        ips=ip or [],
    )
    lines = [f"Key {made['key']} for venue account {made['venue']}:", f"  API key     {made['api_key']}"]
    lines.append(f"  may         {', '.join(made['scopes'])}")
    if "api_secret" in made:
        lines.append(f"  API secret  {made['api_secret']}")
        if not as_json:
            note("The secret is shown this once. Whoever has both can place orders up to your policy's threshold.")
    tell(made, as_json=as_json, lines=lines)


@app.command("list")
def list_(account: Account, config: Config = None, as_json: Json = False) -> None:
    """List an account's keys. Secrets are never shown again."""
    found = perform(load(config).settings, "key.list", account=account)
    rows = [
        (
            k["key"],
            k["label"],
            k["algorithm"],
            k["state"],
            " ".join(k["scopes"]),
            "legacy" if k["legacy"] else "",
            moment(k["created_at"]),
        )
        for k in found["keys"]
    ]
    titles = ("key", "label", "algorithm", "state", "may", "", "created (UTC)")
    tell(found, as_json=as_json, lines=table(titles, rows, nothing="The account has no keys."))


@app.command("revoke")
def revoke(
    account: Account,
    key: Annotated[str, typer.Argument(help="The key's id, as `key list` shows it.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """End a key at once, with every challenge and approval it asked for."""
    done = perform(load(config).settings, "key.revoke", account=account, key=key)
    tell(done, as_json=as_json, lines=[f"Key {key} is revoked."])


@app.command("legacy-report")
def legacy_report(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Of one account; else of all.")] = None,
    days: Annotated[int, typer.Option(help="How far back, 1 to 90.")] = 30,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what would break if legacy keys were challenged today: what they did unchallenged, and how often."""
    settings = load(config).settings
    keys: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = perform(settings, "key.legacy_report", account=account, days=days, after=after)
        keys += page["keys"]
        after = page["next"]
    rows = [
        (
            k["account"],
            k["key"],
            k["label"],
            use["action"],
            str(use["uses"]),
            moment(use["last_at"]) if use["uses"] else "",
        )
        for k in keys
        for use in k["uses"] or [{"action": "nothing", "uses": 0, "last_at": 0}]
    ]
    titles = ("account", "key", "label", "would have been asked for", "times", "last (UTC)")
    tell({"days": days, "keys": keys}, as_json=as_json, lines=table(titles, rows, nothing="There are no legacy keys."))


@app.command("legacy-end")
def legacy_end(
    on: Annotated[str, typer.Argument(help="Day on which it ends (2027-01-31, at 00:00 UTC), or `never`.")],
    account: Annotated[str | None, typer.Option("--account", "-a", help="Of one account; else of all.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Set the day from which legacy keys are challenged like every other. Their owners are told, now and before it."""
    try:
        day = None if on == "never" else date.fromisoformat(on)
    except ValueError:
        raise CommandError(f"expected a day such as 2027-01-31, or never; got {on!r}", exit_code=Exit.USAGE) from None
    at = None if day is None else int(datetime.combine(day, time(), UTC).timestamp() * 1000)
    done = perform(load(config).settings, "key.legacy_end", at=at, account=account)
    when = "have no date" if at is None else f"are challenged from {moment(at)} on"
    tell(done, as_json=as_json, lines=[f"{done['keys']} legacy keys {when}."])
