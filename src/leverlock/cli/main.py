"""`leverlock`: every command, and how each ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from leverlock import __version__
from leverlock.cli import (
    account,
    approve,
    audit,
    cases,
    clock,
    config,
    decisions,
    demo,
    desk,
    doctor,
    enrol,
    init,
    integrator,
    key,
    keyring,
    notice,
    operator,
    password,
    policy,
    recover,
    security_key,
    serve,
    sms,
    venue,
)
from leverlock.cli.output import EXIT_MEANINGS, CommandError, Exit, fail, refused
from leverlock.domain.errors import Refused

_EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_MEANINGS.items()) + "."

app = typer.Typer(
    name="leverlock",
    help="Two-factor authentication for the moment that matters: the leveraged order.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("enrol")(enrol.enrol)
app.command("approve")(approve.approve)
app.command("recover")(recover.recover)
app.command("codes")(recover.codes)
app.add_typer(password.app, name="password")
app.add_typer(account.app, name="account")
app.add_typer(key.app, name="key")
app.add_typer(security_key.app, name="security-key")
app.add_typer(venue.app, name="venue")
app.add_typer(integrator.app, name="integrator")
app.add_typer(operator.app, name="operator")
app.add_typer(desk.app, name="desk")
desk.app.command("role")(decisions.role)
desk.app.command("agree")(decisions.agree)
desk.app.command("decline")(decisions.decline)
desk.app.command("proposals")(decisions.proposals)
policy.app.command("propose")(decisions.propose)
policy.app.command("proposals")(decisions.proposals)
policy.app.command("approve")(decisions.approve_policy)
policy.app.command("refuse")(decisions.refuse_policy)
app.add_typer(cases.app, name="case")
app.add_typer(notice.app, name="notice")
app.add_typer(sms.app, name="sms")
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(clock.app, name="clock")
app.add_typer(keyring.app, name="keyring")
app.add_typer(config.app, name="config")
app.command("doctor")(doctor.doctor)
app.command("healthcheck")(doctor.healthcheck)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"leverlock {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and end.")
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str] | None = None) -> None:
    """The entry point. Whatever a user can cause ends in one sentence and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        app(args=given, prog_name="leverlock")
    except CommandError as problem:
        fail(problem, as_json=as_json)
    except Refused as problem:
        fail(refused(problem), as_json=as_json)
    except KeyboardInterrupt:
        fail(CommandError("interrupted", exit_code=Exit.INTERRUPTED), as_json=as_json)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(int(Exit.DONE)) from None
    except Exception as problem:
        sentence = _settings_trouble(problem)
        if sentence is None:
            raise
        fail(sentence, as_json=as_json)


def _settings_trouble(problem: Exception) -> CommandError | None:
    """What is wrong before anything starts. Imported here, because most commands end well and need neither."""
    from leverlock.policy_office import StartRefused
    from leverlock.settings_sources import SettingsError

    if isinstance(problem, SettingsError):
        facts = {"problems": [{"setting": p.setting, "source": p.source, "reason": p.reason} for p in problem.problems]}
        listed = "".join(f"\n  {found}" for found in problem.problems)
        return CommandError(f"these settings are refused:{listed}", exit_code=Exit.SETTINGS, facts=facts)
    if isinstance(problem, StartRefused):
        return CommandError(str(problem), exit_code=Exit.SETTINGS)
    return None
