"""URLs: where the doors listen, and what they are called from outside."""

from __future__ import annotations

from collections.abc import Mapping

from leverlock.config import Settings, Venue


def public_url(settings: Settings, door: str, *, port: int | None = None) -> str:
    """Where people and programs reach the API or the gateway: as set, else as listened on."""
    server = settings.server
    told: str | None = getattr(server, f"{door}_url")
    if told is not None:
        return told
    host = getattr(server, f"{door}_host")
    return f"{_scheme(settings)}://{_in_url(host)}:{port or getattr(server, f'{door}_port')}"


def approval_url(settings: Settings, api_url: str) -> str:
    """The link that a ring carries, with `{challenge}` where the challenge's id goes."""
    return settings.server.approval_url or f"{api_url}/v1/challenges/{{challenge}}"


def local_url(settings: Settings, door: str, *, listening: tuple[str, int] | None = None) -> str:
    """Where a door answers on this machine, whatever it is called from outside."""
    server = settings.server
    host, port = listening or (getattr(server, f"{door}_host"), getattr(server, f"{door}_port"))
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the wildcard is translated, not bound
    return f"{_scheme(settings)}://{_in_url(every.get(host, host))}:{port}"


def reached_at(settings: Settings, listening: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """What each door is called from outside, now that it listens; the admin socket is a path."""
    host, port = listening["metrics"]
    return {
        "api": public_url(settings, "api", port=listening["api"][1]),
        "gateway": public_url(settings, "gateway", port=listening["gateway"][1]),
        "metrics": f"http://{_in_url(host)}:{port}",
        "admin": str(settings.admin.socket),
    }


def public_bases(venue: Venue) -> dict[str, str]:
    """Whom to ask for market data that clients want without a key; `/futures/data` is served by the futures host."""
    return {"fapi": venue.fapi_url, "futures": venue.fapi_url, "sapi": venue.sapi_url, "api": venue.api_url}


def _scheme(settings: Settings) -> str:
    return "http" if settings.server.tls_certificate is None else "https"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
