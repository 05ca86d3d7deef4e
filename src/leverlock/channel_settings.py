"""Settings of the channels on which owners are rung and told."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from leverlock.setting_kinds import FilePath, Port, Seconds, Section, SeveralProblems, Words, is_loopback


class Smtp(Section):
    """Mail to the owners. Without a host there is none."""

    host: str | None = Field(None, description="The mail server; no mail is sent without one.")
    port: Port = Field(587, description="Its port.")
    tls: Literal["starttls", "implicit", "unsafe_none"] = Field(
        "starttls", description="How the connection is protected; unsafe_none is for a relay on this machine."
    )
    ca_file: FilePath | None = Field(None, description="PEM authorities to trust instead of the system's.")
    username: str | None = Field(None, description="Name to sign in with at the mail server.")
    password: SecretStr | None = Field(None, description="Password to sign in with at the mail server.")
    sender: str | None = Field(None, description="The From address: one address, without a name.")
    timeout_seconds: Seconds = Field(10.0, description="How long one delivery may take.")

    @model_validator(mode="after")
    def _can_send(self) -> Smtp:
        if self.host is not None and self.sender is None:
            raise SeveralProblems([("sender", "mail needs a From address")])
        if self.tls == "unsafe_none" and self.host is not None and not is_loopback(self.host):
            raise SeveralProblems([("tls", "mail to another machine goes over starttls or implicit TLS")])
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self


class Webhook(Section):
    """Notices to the owners' own programs, signed as Standard Webhooks say, with a secret per account."""

    hosts: Words = Field((), description="When not empty, the only host names that may be called.")
    allow_private: bool = Field(
        False, description="Also call addresses that are not public, and plain http; for your own network."
    )
    connect_seconds: Seconds = Field(3.0, description="Time to get a connection.")
    timeout_seconds: Seconds = Field(10.0, description="How long one delivery may take.")


class Chat(Section):
    """Notices to chat services by Apprise, an extra: `pip install leverlock[apprise]`."""

    services: Words = Field(
        (), description="The services that owners may name, by their scheme: tgram, discord, slack, ... Empty: none."
    )
    timeout_seconds: Seconds = Field(15.0, description="How long one delivery may take.")

    @field_validator("services")
    @classmethod
    def _can_be_reached(cls, services: tuple[str, ...]) -> tuple[str, ...]:
        if services and find_spec("apprise") is None:
            raise ValueError("chat services need the extra: pip install leverlock[apprise]")
        return services
