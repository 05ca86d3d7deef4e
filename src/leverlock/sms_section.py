"""The settings of SMS: off unless switched on, and then who sends them, in the order in which they are tried."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from leverlock.messengers.sms_template import unknown_placeholders
from leverlock.setting_kinds import FilePath, Seconds, Section, SeveralProblems, Words, is_loopback

TOGETHER_SECONDS = 25.0  # the outbox gives one delivery 30
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_NAME = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


class SmsProviderSection(Section):
    """One `[[sms.providers]]`."""

    name: str = Field(description="What it is called in the trail and in the address of its receipts.")
    kind: Literal["http", "file", "apprise"] = Field(
        "http", description="http: a gateway with an HTTP interface; file: for development; apprise: by an Apprise URL."
    )
    url: str | None = Field(None, description="http: what is called. apprise: its URL, with {number} or {digits}.")
    method: Literal["GET", "POST"] = Field("POST", description="http: the method.")
    query: dict[str, Any] = Field({}, description="http: query parameters; values are templates.")
    form: dict[str, Any] = Field({}, description="http: form fields; values are templates.")
    json_body: dict[str, Any] = Field({}, alias="json", description="http: the JSON body; values are templates.")
    headers: dict[str, str] = Field({}, description="http: further headers; values are templates.")
    unicode: dict[str, Any] = Field({}, description="http: parameters added for a text outside GSM-7.")
    username: str | None = Field(None, description="http: name for basic authentication, with the secret as password.")
    secret: SecretStr | None = Field(None, description="What {secret} stands for.")
    secret_file: FilePath | None = Field(None, description="A file with the secret instead.")
    accepted: str | None = Field(None, description="http: pattern in the answer without which it counts as a failure.")
    message_id: str | None = Field(None, description="http: pattern in the answer that finds the provider's own id.")
    timeout_seconds: Seconds = Field(8.0, description="How long one try may take.")
    receipt_field: str | None = Field(None, description="Parameter of a receipt that says what became of the SMS.")
    receipt_delivered: Words = Field((), description="Its values that mean: delivered.")
    receipt_undelivered: Words = Field((), description="Its values that mean: not delivered.")
    path: FilePath = Field(Path("sms.jsonl"), description="file: where it is written.")
    unsafe_plain_http: bool = Field(False, description="http: allow http beyond the loopback.")

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise ValueError("expected 1 to 32 lower-case letters, digits and hyphens")
        return name

    @field_validator("accepted", "message_id")
    @classmethod
    def _pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as problem:
            raise ValueError(f"no regular expression: {problem}") from None
        return pattern

    @field_validator("query", "form", "json_body", "headers", "unicode")
    @classmethod
    def _known_placeholders(cls, template: Any) -> Any:
        unknown = unknown_placeholders(template)
        if unknown:
            raise ValueError(f"nothing is put in for {', '.join(sorted(unknown))}")
        return template

    @model_validator(mode="after")
    def _complete(self) -> SmsProviderSection:
        if self.kind == "file":
            return self
        if self.url is None:
            raise ValueError("needs a url")
        if self.kind == "http":
            scheme, _, rest = self.url.partition("://")
            host = re.split(r"[/:?]", rest, maxsplit=1)[0]
            plain = scheme == "http" and (is_loopback(host) or self.unsafe_plain_http)
            if not host or "@" in rest or not (scheme == "https" or plain):
                raise ValueError("expected an https address without user or password; http is for the loopback")
            if self.form and self.json_body:
                raise ValueError("a body is a form or JSON, not both")
            if "{text}" not in repr((self.query, self.form, self.json_body)):
                raise ValueError("{text} stands nowhere: the code would not be sent")
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file exclude each other")
        return self


def _providers(value: Any) -> Any:
    # In the environment: the list as JSON.
    return json.loads(value) if isinstance(value, str) else value


class SmsSection(Section):
    """SMS as a backup of the owners' apps. Off unless switched on; the whole product works without it."""

    enabled: bool = Field(False, description="Whether owners may have codes sent to a phone as backup.")
    countries: Words = Field((), description="ISO 3166 codes; when not empty, the only countries that are served.")
    providers: Annotated[tuple[SmsProviderSection, ...], BeforeValidator(_providers)] = Field(
        (), description="Who sends them: `[[sms.providers]]` tables, tried in this order; see how-to/sms.md."
    )

    @field_validator("countries")
    @classmethod
    def _codes(cls, countries: tuple[str, ...]) -> tuple[str, ...]:
        if any(_COUNTRY.fullmatch(country) is None for country in countries):
            raise ValueError("expected ISO 3166 codes of two capital letters, such as GB")
        return countries

    @model_validator(mode="after")
    def _can_send(self) -> SmsSection:
        names = [provider.name for provider in self.providers]
        wrong = ""
        if self.enabled and not self.providers:
            wrong = "SMS is enabled and nobody sends them: add a [[sms.providers]] table"
        elif len(set(names)) != len(names):
            wrong = "two providers have the same name"
        elif sum(provider.timeout_seconds for provider in self.providers) > TOGETHER_SECONDS:
            wrong = f"the time-outs of all providers together are at most {TOGETHER_SECONDS:.0f} s"
        if wrong:
            raise SeveralProblems([("providers", wrong)])
        return self
