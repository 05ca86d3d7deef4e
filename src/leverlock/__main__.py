<<<<<<< HEAD
"""`python -m leverlock`: the same as the command."""
=======
"""`python -m leverlock`: the same as the command `leverlock`."""
>>>>>>> cli

from leverlock.cli.main import run

run()
