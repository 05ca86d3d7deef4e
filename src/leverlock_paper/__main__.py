"""`python -m leverlock_paper` is the command `leverlock-paper`."""

from leverlock_paper.main import run

if __name__ == "__main__":
    run()
