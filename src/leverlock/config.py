"""Settings: one frozen class, read once at start from a TOML file and the environment.

    leverlock.toml, or .leverlock/config.toml     [server] api_port = 8700
    environment, which wins over the file         LEVERLOCK__SERVER__API_PORT=8700
    a secret in a file of its own                 LEVERLOCK__SMTP__PASSWORD_FILE=/run/secrets/smtp

Whatever is unknown, outside its bounds or dangerous without saying so is refused, with the setting, where it came
from and the reason. Relative paths start at the directory of the settings file. `settings_sources.py` does the reading.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from leverlock.channel_settings import Chat, Smtp, Webhook
from leverlock.domain.limits import BOUNDS, Limits
from leverlock.domain.totp import Window
from leverlock.security_key_settings import SecurityKeys
from leverlock.setting_kinds import (
    FilePath,
    Origin,
    Port,
    Seconds,
    Section,
    SeveralProblems,
    is_loopback,
    resolved,
    whole,
)
from leverlock.sms_section import SmsSection

SHIPPED_POLICIES = ("literal", "trader")
SOCKET_PATH_MAX = 100  # bytes; Linux allows 107 in a socket address


class Server(Section):
    """Where the doors listen, and under which addresses people and programs reach them."""

    api_host: str = Field("127.0.0.1", description="Address on which the API listens.")
    api_port: Port = Field(8700, description="Port of the API; 0 takes a free one.")
    gateway_host: str = Field("127.0.0.1", description="Address on which the gateway listens.")
    gateway_port: Port = Field(8701, description="Port of the gateway; 0 takes a free one.")
    metrics_host: str = Field("127.0.0.1", description="Address on which metrics are served, without a password.")
    metrics_port: Port = Field(8702, description="Port of the metrics; 0 takes a free one.")
    api_url: Origin | None = Field(None, description="Public address of the API; else made from host and port.")
    gateway_url: Origin | None = Field(None, description="Public address of the gateway; else made from host and port.")
    approval_url: str | None = Field(
        None, description="Where the owner answers; {challenge} stands for the challenge's id. Else the API's own."
    )
    tls_certificate: FilePath | None = Field(None, description="PEM chain; API and gateway then speak TLS themselves.")
    tls_key: FilePath | None = Field(None, description="PEM private key that belongs to tls_certificate.")
    unsafe_plain_http: bool = Field(
        False, description="Listen without TLS beyond the loopback, because something in front of us adds it."
    )
    stop_seconds: Seconds = Field(10.0, description="How long a stop waits for calls that are under way.")

    @field_validator("approval_url")
    @classmethod
    def _one_placeholder(cls, url: str | None) -> str | None:
        if url is not None and (re.findall(r"\{[^{}]*\}", url) != ["{challenge}"] or re.sub(r"[^{}]", "", url) != "{}"):
            raise ValueError("expected an address in which {challenge} stands once, and no other braces")
        return url

    @model_validator(mode="after")
    def _passwords_travel_encrypted(self) -> Server:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if self.tls_certificate is None and not self.unsafe_plain_http:
            for name in ("api_host", "gateway_host"):
                if not is_loopback(getattr(self, name)):
                    reason = "passwords and codes would travel unencrypted; set tls_certificate and tls_key, or say "
                    raise SeveralProblems([(name, reason + "unsafe_plain_http = true if a proxy in front adds TLS")])
        return self


class Store(Section):
    """The database."""

    path: FilePath = Field(Path("leverlock.db"), description="The SQLite file; two more stand beside it.")
    synchronous: str = Field("FULL", description="Only FULL: with less, an approval could be forgotten (B94).")

    @field_validator("synchronous")
    @classmethod
    def _nothing_is_forgotten(cls, value: str) -> str:
        if value.upper() != "FULL":
            raise ValueError("only FULL is accepted: with less, a power cut could forget a spent code or grant (B94)")
        return "FULL"


class KeyringFile(Section):
    """The keys outside the database."""

    path: FilePath = Field(Path("keyring.json"), description="The keyring file; it must be readable by its owner only.")


class Recovery(Section):
    """Recovery cases at the desk."""

    documents: FilePath = Field(
        Path("documents"), description="The folder of identity documents, encrypted; back it up with the database."
    )


class Venue(Section):
    """How the gateway reaches the venues."""

    fapi_url: Origin = Field("https://fapi.binance.com", description="Futures API, for reads that carry no key.")
    sapi_url: Origin = Field("https://api.binance.com", description="Wallet API, for reads that carry no key.")
    api_url: Origin = Field("https://api.binance.com", description="Spot API, for reads that carry no key.")
    ca_file: FilePath | None = Field(None, description="PEM authorities to trust instead of the system's.")
    connect_seconds: Seconds = Field(3.0, description="Time to get a connection.")
    total_seconds: Seconds = Field(10.0, description="Time for a whole call; after it the outcome is unknown.")
    connections: Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole)] = Field(
        100, description="Most connections at a time."
    )
    unsafe_plain_http: bool = Field(False, description="Allow http to a venue beyond the loopback.")

    @model_validator(mode="after")
    def _ordered(self) -> Venue:
        if self.connect_seconds >= self.total_seconds:
            raise SeveralProblems([("connect_seconds", "must be shorter than total_seconds")])
        return self


class Logging(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least important kind.")
    format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else JSON.")


class Checkpoint(Section):
    """The signed heads of the audit chains (B90)."""

    file: FilePath = Field(Path("checkpoints.jsonl"), description="File to which checkpoints are appended.")


class Admin(Section):
    """The socket over which commands on this machine talk to the running server."""

    socket: FilePath = Field(Path("admin.sock"), description="Unix socket, mode 600: for this user only.")

    @field_validator("socket")
    @classmethod
    def _fits_an_address(cls, path: Path) -> Path:
        if len(bytes(path)) > SOCKET_PATH_MAX:
            raise ValueError(f"a socket's path has at most {SOCKET_PATH_MAX} bytes; {path} is longer")
        return path


def _limits(given: Any) -> Limits:
    """The numbers in force: the defaults with what was given, each inside its own bounds and all of them together."""
    if isinstance(given, Limits):
        return given
    if not isinstance(given, dict):
        raise ValueError("expected a section of numbers")
    kinds = {field.name: type(field.default) for field in fields(Limits)}
    numbers: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, value in given.items():
        try:
            if name not in kinds:
                raise ValueError("there is no such setting")
            numbers[name] = _number(kinds[name], value)
            low, high, source = BOUNDS.get(name, (None, None, ""))
            if low is not None and high is not None and not low <= numbers[name] <= high:
                raise ValueError(f"{numbers[name]} is outside {low}..{high} ({source})")
        except ValueError as problem:
            problems.append((name, str(problem)))
    if problems:
        raise SeveralProblems(problems)
    return Limits(**numbers)


def _number(kind: type, value: Any) -> Any:
    if kind is Window:
        try:
            return Window(value)
        except ValueError:
            raise ValueError(f"expected {' or '.join(Window)}") from None
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ValueError("expected a whole number")
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError("expected a number") from None


def _limits_schema() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in fields(Limits):
        if isinstance(field.default, Window):
            properties[field.name] = {"enum": [window.value for window in Window], "default": field.default.value}
            continue
        low, high, source = BOUNDS[field.name]
        kind = "number" if isinstance(field.default, float) else "integer"
        properties[field.name] = {
            "type": kind,
            "minimum": low,
            "maximum": high,
            "default": field.default,
            "description": source,
        }
    description = "Every number in force. Times are in milliseconds."
    return {"type": "object", "description": description, "properties": properties, "additionalProperties": False}


# A section left out is read like an empty one, so that its paths start at the settings file too.
_SECTION: Any = Field(default_factory=dict)


class Settings(Section):
    """Everything an operator can set."""

    policy: str = Field("literal", description="literal, trader, or the path of a policy file of your own.")
    issuer: str = Field("Leverlock", description="The name in authenticator apps, before the environment: no colon.")
    issuer_style: Literal["spaced", "compact"] = Field(
        "spaced", description='"Acme Futures", or "AcmeFutures" for apps that stumble over a space.'
    )
    server: Server = _SECTION
    store: Store = _SECTION
    keyring: KeyringFile = _SECTION
    recovery: Recovery = _SECTION
    security_keys: SecurityKeys = _SECTION
    smtp: Smtp = _SECTION
    webhook: Webhook = _SECTION
    chat: Chat = _SECTION
    sms: SmsSection = _SECTION
    venue: Venue = _SECTION
    logging: Logging = _SECTION
    checkpoint: Checkpoint = _SECTION
    admin: Admin = _SECTION
    limits: Annotated[Limits, PlainValidator(_limits), WithJsonSchema(_limits_schema())] = _SECTION

    @field_validator("issuer")
    @classmethod
    def _apps_can_show_it(cls, issuer: str) -> str:
        # A colon separates issuer and account in an otpauth label; several apps read it there even when encoded.
        if ":" in issuer or not issuer.isprintable() or issuer != issuer.strip() or not 1 <= len(issuer) <= 64:
            raise ValueError("expected 1 to 64 printable characters without a colon or blanks around them")
        return issuer

    @model_validator(mode="after")
    def _codes_stay_here(self) -> Settings:
        # A file of codes is for one's own machine: whoever can reach the API has reason to want it.
        server = self.server
        open_to_others = not is_loopback(server.api_host) or server.api_url is not None
        if self.sms.enabled and open_to_others and any(one.kind == "file" for one in self.sms.providers):
            reason = "a provider of kind file writes codes in the open; it is refused where others reach the API"
            raise ValueError(f"sms.providers: {reason}")
        return self

    @field_validator("policy")
    @classmethod
    def _shipped_or_a_file(cls, policy: str, info: ValidationInfo) -> str:
        return policy if policy in SHIPPED_POLICIES else str(resolved(Path(policy), info))
