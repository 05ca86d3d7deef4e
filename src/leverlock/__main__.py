"""`python -m leverlock`: the same as the command."""

from leverlock.cli.main import run

run()
