"""`leverlock venue`: accounts at a venue whose real key Leverlock holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Account, Config, Json, load
from leverlock.cli.output import Exit, table, tell
from leverlock.cli.secret_input import secret

app = typer.Typer(help="Accounts at a venue whose real key Leverlock holds.", no_args_is_help=True)

Venue = Annotated[str, typer.Argument(help="The venue account's id, as `venue list` shows it.")]
Url = Annotated[
    str | None, typer.Option(help="One address for everything, such as a paper venue's.", show_default=False)
]
FuturesUrl = Annotated[str | None, typer.Option(help="Address of the futures API; else as set.", show_default=False)]
WalletUrl = Annotated[str | None, typer.Option(help="Address of the wallet API; else as set.", show_default=False)]
SpotUrl = Annotated[str | None, typer.Option(help="Address of the spot API; else as set.", show_default=False)]
KeyFile = Annotated[
    Path | None, typer.Option(help="File with the venue's API key. Else asked for.", show_default=False)
]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="File with the venue's secret, or its Ed25519 private key as PEM.", show_default=False),
]


@app.command("connect")
def connect(
    account: Account,
    label: Annotated[str, typer.Option("--label", "-l", help="What you call this account.")] = "main",
    url: Url = None,
    fapi_url: FuturesUrl = None,
    sapi_url: WalletUrl = None,
    api_url: SpotUrl = None,
    venue_key_file: KeyFile = None,
    venue_secret_file: SecretFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take a venue's key into custody, after asking the venue what the key may do.

    The key and its secret come from files, from LEVERLOCK_VENUE_KEY and LEVERLOCK_VENUE_SECRET (or the same names with
    _FILE), or from a prompt; never from the command line. A key that the venue refuses is not stored.
    """
    settings = load(config).settings
    api_key = secret("venue_key", file=venue_key_file, prompt="Venue API key").strip()
    venue_secret = secret("venue_secret", file=venue_secret_file, prompt="Venue secret")
    algorithm = "ed25519" if venue_secret.lstrip().startswith("-----BEGIN") else "hmac-sha256"
    known = settings.venue
    bases = {"fapi": fapi_url or url or known.fapi_url, "sapi": sapi_url or url or known.sapi_url}
    bases["api"] = api_url or url or known.api_url
    made = perform(
        settings,
        "venue.connect",
        account=account,
        label=label,
        base_urls={name: base.rstrip("/") for name, base in bases.items()},
        api_key=api_key,
        secret=venue_secret,
        algorithm=algorithm,
    )
    lines = [f"Venue account {made['venue']} ({made['label']}) is connected.", *_findings(made["check"])]
    tell(made, as_json=as_json, lines=lines)


@app.command("list")
def list_(
    account: Annotated[
        str | None, typer.Option("--account", "-a", help="Only this login or id.", show_default=False)
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List the venue accounts. Secrets are never shown."""
    found = perform(load(config).settings, "venue.list", account=account)
    rows = [(v["venue"], v["label"], v["account"], v["algorithm"], v["base_urls"]["fapi"]) for v in found["venues"]]
    titles = ("venue", "label", "account", "algorithm", "futures address")
    tell(found, as_json=as_json, lines=table(titles, rows, nothing="No venue account is connected."))


@app.command("test")
def ask(venue: Venue, config: Config = None, as_json: Json = False) -> None:
    """Ask the venue about its clock and the stored key. Ends with 0 only if the key works and nothing is wrong."""
    found = perform(load(config).settings, "venue.test", venue=venue)
    tell(found, as_json=as_json, lines=_findings(found["check"]))
    if found["check"]["accepted"] is None:
        raise typer.Exit(int(Exit.UNAVAILABLE))
    if not found["check"]["accepted"] or found["check"]["warnings"]:
        raise typer.Exit(int(Exit.REFUSED))


@app.command("remove")
def remove(venue: Venue, config: Config = None, as_json: Json = False) -> None:
    """Forget a venue's key, and end every key of ours that reached it."""
    done = perform(load(config).settings, "venue.remove", venue=venue)
    tell(done, as_json=as_json, lines=[f"Venue account {venue} is removed, and its keys are revoked."])


def _findings(check: dict[str, Any]) -> list[str]:
    accepted = {
        True: "The venue accepts the key.",
        False: "The venue refuses the key.",
        None: "The key is not checked.",
    }
    lines = [accepted[check["accepted"]]]
    if check["clock_offset_ms"] is not None:
        lines.append(f"The venue's clock is {check['clock_offset_ms']:+d} ms from ours.")
    return lines + [f"Warning: {warning}." for warning in check["warnings"]]
