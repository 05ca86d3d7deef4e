"""Writes docs/reference/settings.md and docs/reference/cli.md from the settings and the commands themselves.

    python tools/reference.py            # says whether they are what the program is
    python tools/reference.py --write    # writes them anew

`tests/docs/test_reference.py` fails when they differ, so that they cannot grow old.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from leverlock.cli.main import app
from leverlock.cli.output import EXIT_MEANINGS
from leverlock.settings_sources import schema

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

SETTINGS_HEAD = """\
# Settings

Settings are read once, at start: from a TOML file, then from the environment, which wins. The file is the one named by
`--config` or `LEVERLOCK_CONFIG`, else `./leverlock.toml`, else `./.leverlock/config.toml` (what `leverlock init`
writes). Relative paths start at the directory of that file.

- A setting `server.api_port` is the line `api_port = 8700` under `[server]`, or the variable
  `LEVERLOCK__SERVER__API_PORT`.
- A setting marked *secret* can stand in a file of its own: `LEVERLOCK__SMTP__PASSWORD_FILE=/run/secrets/smtp`, or
  `password_file = "smtp-password"` in the settings file. One line end at its end is not part of the secret.
- A list is separated by commas in a variable.
- What is unknown, out of bounds or dangerous without saying so is refused, with its name, its source and the reason.

`leverlock config check` says whether the settings hold, `leverlock config show` what is in force and from where
(secrets are never shown), `leverlock config schema` prints this page as JSON Schema. This page is made from the program
by `tools/reference.py`.
"""

CLI_HEAD = """\
# Commands

Every command takes `--json` and then prints one JSON document and nothing else; errors go to standard error, as a plain
sentence or as `{"error": {"message": ..., "exit_code": ...}}`. `leverlock --install-completion` completes commands and
options in bash, zsh and fish. This page is made from the program by `tools/reference.py`.

Commands that create, list and revoke talk to the running server over its admin socket (a Unix socket, for the same user
only); where no server runs they open the database themselves. Both do the same.

Passwords, codes and keys are never taken from the command line. Each comes from its `--...-file` option (`-` is
standard input), else from the file that an environment variable names, else from that variable, else from a prompt:

| what | file named by | or itself in |
| --- | --- | --- |
| a password | `LEVERLOCK_PASSWORD_FILE` | `LEVERLOCK_PASSWORD` |
| a code of the login authenticator | `LEVERLOCK_LOGIN_CODE_FILE` | `LEVERLOCK_LOGIN_CODE` |
| a code of the environment's authenticator | `LEVERLOCK_CODE_FILE` | `LEVERLOCK_CODE` |
| a code that came by SMS | `LEVERLOCK_SMS_CODE_FILE` | `LEVERLOCK_SMS_CODE` |
| a venue's API key | `LEVERLOCK_VENUE_KEY_FILE` | `LEVERLOCK_VENUE_KEY` |
| a venue's secret or private key | `LEVERLOCK_VENUE_SECRET_FILE` | `LEVERLOCK_VENUE_SECRET` |
"""


def settings_page() -> str:
    """The page about settings."""
    document = schema()
    parts = [SETTINGS_HEAD, "## At the top of the file\n", *_settings_table(document, document, "")]
    for name, node in document["properties"].items():
        section = _resolved(document, node)
        if "properties" in section:
            parts += [f"\n## [{name}]\n", section.get("description", ""), "", *_settings_table(document, section, name)]
            for inner, listed in section["properties"].items():
                one = _resolved(document, listed.get("items", {}))
                if "properties" in one:
                    table = _settings_table(document, one, f"{name}.{inner}[]")
                    parts += [f"\n### [[{name}.{inner}]]\n", one.get("description", ""), "", *table]
    return "\n".join(parts) + "\n"


def commands_page() -> str:
    """The page about commands."""
    codes = ["\n| exit code | meaning |", "| --- | --- |"]
    codes += [f"| {int(code)} | {meaning} |" for code, meaning in EXIT_MEANINGS.items()]
    parts = [CLI_HEAD.rstrip(), *codes]
    for name, command in sorted(_commands(typer.main.get_command(app), "leverlock")):
        arguments = [p for p in command.params if type(p).__name__.endswith("Argument")]
        options = [p for p in command.params if not type(p).__name__.endswith("Argument")]
        usage = " ".join([name, *(f"<{p.name}>" if p.required else f"[{p.name}]" for p in arguments)])
        parts += ["", f"## {name}", "", _sentences(command.help or ""), "", f"    {usage} [options]", ""]
        parts += ["| | |", "| --- | --- |"]
        parts += [f"| `{p.name}` | {_cell(p.help)} |" for p in arguments]
        parts += [f"| {_option(p)} | {_cell(p.help)}{_default(p)} |" for p in options if p.name != "help"]
    return "\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    return {REFERENCE / "settings.md": settings_page(), REFERENCE / "cli.md": commands_page()}


def _settings_table(document: dict[str, Any], section: dict[str, Any], prefix: str) -> Iterator[str]:
    rows = []
    for name, node in section["properties"].items():
        if "properties" in _resolved(document, node):
            continue
        full = f"{prefix}.{name}" if prefix else name
        bounds = f"{node['minimum']} to {node['maximum']}" if "minimum" in node and "maximum" in node else _kind(node)
        default = "" if node.get("default") in (None, [], "") else f"`{_written(node['default'])}`"
        rows.append(f"| `{full}` | {default} | {_cell(bounds)} | {_cell(node.get('description', ''))} |")
    if rows:
        about = "bounds | source of the bounds" if prefix == "limits" else "takes | what it is"
        yield f"| setting | default | {about} |"
        yield "| --- | --- | --- | --- |"
        yield from rows


def _kind(node: dict[str, Any]) -> str:
    options = [one for one in node.get("anyOf", [node]) if one.get("type") != "null"]
    one = options[0]
    if "enum" in one:
        return ", ".join(f"`{word}`" for word in one["enum"])
    if one.get("format") == "password":
        return "text, *secret*"
    words = {"integer": "whole number", "boolean": "true or false", "array": "list", "string": "text"}
    kind = "path" if one.get("format") == "path" else words.get(one["type"], one["type"])
    low, high = one.get("minimum", one.get("exclusiveMinimum")), one.get("maximum")
    return f"{kind}, {low} to {high}" if low is not None and high is not None else kind


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len, reverse=True))
    return names + (" (required)" if parameter.required else "")


def _default(parameter: Any) -> str:
    if parameter.default in (None, False, True, "", []) or parameter.required:
        return ""
    return f" Default: `{parameter.default}`."


def _sentences(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> None:
    stale = []
    for path, text in pages().items():
        if "--write" in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path))
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run python tools/reference.py --write")


if __name__ == "__main__":
    main()
