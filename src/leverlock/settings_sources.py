"""Where settings come from, and what is said when one of them is wrong.

The environment wins over the file. Each value remembers its source, so that an error and `config show` can name it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from leverlock.config import Settings
from leverlock.domain.limits import Limits
from leverlock.setting_kinds import Section, SeveralProblems

PREFIX: Final = "LEVERLOCK__"
POINTER: Final = "LEVERLOCK_CONFIG"
DEFAULT_FILES: Final = (Path("leverlock.toml"), Path(".leverlock/config.toml"))
DATA_DIRECTORY: Final = Path(".leverlock")
_QUOTED_DOT: Final = "\0"  # stands for a dot inside a quoted key, which must not pass for a section and a setting
SECRET_MAX: Final = 64 * 1024  # bytes of a `_FILE`


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the setting's dotted name, where its value came from, and why it is refused."""

    setting: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.setting} ({self.source}): {self.reason}"


class SettingsError(Exception):
    """The settings were refused. `problems` are all that were found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and for each that was not left at its default where it came from."""

    settings: Settings
    file: Path | None
    origins: Mapping[str, str]


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the file (the given one, `LEVERLOCK_CONFIG`, or the first default that exists) and the environment.

    Raises SettingsError with every problem found.
    """
    found = _chosen(file, environ)
    sources = _Sources()
    if found is not None:
        sources.read_file(found)
    sources.read_environment(environ)
    base = (found.parent if found is not None else DATA_DIRECTORY).absolute()
    settings = None
    try:
        settings = Settings.model_validate(sources.values, context={"base": base})
    except ValidationError as error:
        sources.problems += _problems_of(error, sources.origins)
    if settings is None or sources.problems:
        raise SettingsError(sources.problems)
    return Loaded(settings, found, sources.origins)


def shown(loaded: Loaded) -> Iterator[tuple[str, Any, str]]:
    """Every setting as (name, value, source) in JSON values. Secrets are told from their type and never shown."""
    for name, value in _leaves(loaded.settings, ""):
        yield name, _plain(value), loaded.origins.get(name, "default")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the settings file."""
    document = Settings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


@dataclass
class _Sources:
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def read_file(self, file: Path) -> None:
        source = str(file)
        try:
            with file.open("rb") as stream:
                document = tomllib.load(stream)
        except OSError as problem:
            raise SettingsError([Problem("the settings file", source, problem.strerror or str(problem))]) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise SettingsError([Problem("the settings file", source, f"not TOML: {problem}")]) from None
        for path, value in _flat(document):
            secret = path.removesuffix("_file")
            if _QUOTED_DOT in path:
                shown = path.replace(_QUOTED_DOT, ".")
                self.problems.append(Problem(shown, source, "there is no such setting; leave the quotes out"))
            elif path not in _KNOWN and secret in _SECRET:
                pointed = (file.parent / str(value)).absolute()
                self._put_from_file(secret, pointed, f"{pointed}, named in {source}")
            else:
                self._put(path, value, source)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        from_environment: set[str] = set()
        for variable in sorted(environ):
            if not variable.startswith(PREFIX):
                continue
            path = variable.removeprefix(PREFIX).lower().replace("__", ".")
            source = f"environment variable {variable}"
            setting = path if path in _KNOWN else path.removesuffix("_file")
            if setting in from_environment:
                self.problems.append(Problem(setting, source, "is set twice in the environment; keep one"))
            elif path in _KNOWN:
                self._put(path, environ[variable], source)
            elif setting in _SECRET:
                pointed = Path(environ[variable])
                self._put_from_file(setting, pointed, f"{pointed}, named by {variable}")
            else:
                self.problems.append(Problem(path, source, "there is no such setting" + _nearest(path)))
            from_environment.add(setting)

    def _put_from_file(self, setting: str, file: Path, source: str) -> None:
        try:
            with file.open("rb") as stream:
                text = stream.read(SECRET_MAX + 1).decode()
            if len(text) > SECRET_MAX:
                raise ValueError("the file is too large for a secret")
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            self.problems.append(Problem(setting, source, reason or "cannot be read"))
            return
        self._put(setting, text.removesuffix("\n").removesuffix("\r"), source)

    def _put(self, path: str, value: Any, source: str) -> None:
        *sections, name = path.split(".")
        place = self.values
        for section in sections:
            inner = place.setdefault(section, {})
            if not isinstance(inner, dict):
                return  # the section itself is wrong already, and will be said to be
            place = inner
        place[name] = value
        self.origins[path] = source


def _chosen(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    if file is not None:
        return file
    if environ.get(POINTER):
        return Path(environ[POINTER])
    return next((candidate for candidate in DEFAULT_FILES if candidate.is_file()), None)


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        path = prefix + name.replace(".", _QUOTED_DOT)
        if isinstance(value, dict) and (not prefix or path not in _KNOWN):
            yield from _flat(value, path + ".")
        else:
            yield path, value


def _problems_of(error: ValidationError, origins: Mapping[str, str]) -> list[Problem]:
    problems: list[Problem] = []
    for found in error.errors(include_url=False, include_input=False):
        setting = ".".join(str(part) for part in found["loc"])
        cause = (found.get("ctx") or {}).get("error")
        if isinstance(cause, SeveralProblems):
            for name, reason in cause.problems:
                full = f"{setting}.{name}"
                hint = _nearest(full) if reason == "there is no such setting" else ""
                problems.append(Problem(full, _source_of(full, origins), reason + hint))
            continue
        if found["type"] == "extra_forbidden":
            reason = "there is no such setting" + _nearest(setting)
        else:
            reason = str(cause) if cause is not None else found["msg"][0].lower() + found["msg"][1:]
        problems.append(Problem(setting, _source_of(setting, origins), reason))
    return problems


def _source_of(setting: str, origins: Mapping[str, str]) -> str:
    """Where a setting came from; for a section where its parts did."""
    if setting in origins:
        return origins[setting]
    parts = {source for path, source in origins.items() if path.startswith(setting + ".")}
    return ", ".join(sorted(parts)) or "default"


def _nearest(path: str) -> str:
    near = difflib.get_close_matches(path, _KNOWN, n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""


def _declared(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, info in section.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _declared(annotation, f"{prefix}{name}.")
        elif annotation is Limits:
            yield from ((f"{prefix}{name}.{limit}", int) for limit in Limits.__dataclass_fields__)
        else:
            yield prefix + name, annotation


def _is_secret(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_secret(part) for part in get_args(annotation))
    return annotation is SecretStr


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), f"{prefix}{name}.")
    elif isinstance(value, Limits):
        for name in Limits.__dataclass_fields__:
            yield f"{prefix}{name}", getattr(value, name)
    else:
        yield prefix.removesuffix("."), value


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(set, not shown)"
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return str(value) if isinstance(value, Path) else value


_KNOWN: Final = dict(_declared(Settings))
_SECRET: Final = frozenset(path for path, annotation in _KNOWN.items() if _is_secret(annotation))
