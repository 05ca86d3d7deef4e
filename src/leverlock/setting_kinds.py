"""What a setting can be: the frozen section, and the kinds of values that settings share."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo


class SeveralProblems(ValueError):
    """More than one thing is wrong in one section: (setting, reason) pairs, so that each is named on its own."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in problems))
        self.problems = problems


def resolved(path: Path, info: ValidationInfo) -> Path:
    base: Path = (info.context or {}).get("base", Path.cwd())
    return (base / path.expanduser()).absolute()


def is_loopback(host: str) -> bool:
    """Whether an address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def whole(value: Any) -> Any:
    # pydantic would take `true` for 1 and 8080.0 for 8080.
    if isinstance(value, bool | float):
        raise ValueError("expected a whole number")
    return value


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("expected an address such as https://futures.example.com")
    if url != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("expected scheme and host only, without a path or a trailing slash")
    return url


def _words(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


FilePath = Annotated[Path, AfterValidator(resolved)]
Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(whole)]
Seconds = Annotated[float, Field(gt=0, le=120)]
Origin = Annotated[str, AfterValidator(_origin)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]  # in the environment: separated by commas


class Section(BaseModel):
    """What all sections share: frozen, nothing unknown, defaults checked like anything else."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
