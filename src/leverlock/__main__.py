"""`python -m leverlock`: the same as the command `leverlock`."""

from leverlock.cli.main import run

run()
