"""`leverlock policy`: the rules that say which action needs which proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, table, tell

if TYPE_CHECKING:
    from leverlock.domain.policy import Condition, Policy, Rule

app = typer.Typer(help="The rules that say which action needs which proof.", no_args_is_help=True)

File = Annotated[
    str | None,
    typer.Argument(help="literal, trader or a file. Default: the policy of the settings.", show_default=False),
]


@app.command("check")
def check(file: File = None, config: Config = None, as_json: Json = False) -> None:
    """Read a policy as `serve` would. What is wrong is named with its line."""
    source, policy = _read(file, config)
    document = {"source": source, "name": policy.name, "version": policy.version, "rules": len(policy.rules)}
    opened = sorted(policy.unsafe_allow)
    lines = [f"The policy {policy.name} holds: {len(policy.rules)} rules ({source})."]
    lines += [f"Warning: {name} is left open on purpose (unsafe_allow)." for name in opened]
    tell({**document, "unsafe_allow": opened}, as_json=as_json, lines=lines)


@app.command("show")
def show(file: File = None, config: Config = None, as_json: Json = False) -> None:
    """Show a policy's rules as a table, each with its line in the file."""
    from leverlock.domain.policy_file import rule_lines

    source, policy = _read(file, config)
    numbered = list(zip(rule_lines(policy.text), policy.rules, strict=False))
    rows = [(line, rule.action, _when(rule), " and ".join(rule.requirement.words())) for line, rule in numbered]
    lines = [f"Policy {policy.name}, version {policy.version} ({source})"]
    if policy.require_enrolment:
        lines.append("Accounts without protection are refused gated actions (require_enrolment).")
    lines += [f"Open on purpose (unsafe_allow): {name}" for name in sorted(policy.unsafe_allow)]
    lines += table(("line", "action", "when", "requires"), rows, nothing="It has no rules.")
    tell(_document(source, policy, numbered), as_json=as_json, lines=lines)


def _read(file: str | None, config: Path | None) -> tuple[str, Policy]:
    from leverlock.domain.policy_file import PolicyError, load_policy
    from leverlock.policy_office import policy_source, read_policy

    if file is None:
        name = load(config).settings.policy
        return name, read_policy(name)
    try:
        return file, load_policy(policy_source(file))
    except PolicyError as problem:
        facts = {"line": problem.line, "reason": problem.reason}
        raise CommandError(f"{file}, line {problem.line}: {problem.reason}", facts=facts) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise CommandError(f"{file} cannot be read: {problem}", exit_code=Exit.USAGE) from None


def _when(rule: Rule) -> str:
    return " and ".join(_condition(condition) for condition in rule.conditions) or "always"


def _condition(condition: Condition) -> str:
    if condition.choices:
        words = sorted(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in condition.choices)
        return f"{condition.attribute} is {' or '.join(words)}"
    bounds = [f"above {condition.above}"] if condition.above is not None else []
    bounds += [f"below {condition.below}"] if condition.below is not None else []
    return f"{condition.attribute} {' and '.join(bounds)}"


def _document(source: str, policy: Policy, numbered: list[tuple[int, Rule]]) -> dict[str, Any]:
    return {
        "source": source,
        "name": policy.name,
        "version": policy.version,
        "require_enrolment": policy.require_enrolment,
        "unsafe_allow": sorted(policy.unsafe_allow),
        "rules": [
            {
                "line": line,
                "name": rule.name,
                "action": rule.action,
                "when": [_condition(condition) for condition in rule.conditions],
                "require": rule.requirement.words(),
            }
            for line, rule in numbered
        ],
    }
