"""The peers' own virtual environment: they are measured, never shipped, and no lock names them."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench-venv"
PACKAGES = ("cedarpy==4.12.2", "common-expression-language==0.10.0", "privacyidea==3.14", "gunicorn==27.0.1")


def install() -> None:
    """Make `.bench-venv` with every peer: about 600 MB and some minutes. What is there already is kept."""
    if not (FOLDER / "bin" / "python").exists():
        venv.create(FOLDER, with_pip=True)
    subprocess.run([FOLDER / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES], check=True)


def program(name: str) -> Path | None:
    """A program of the peers' environment, None where it is not installed."""
    found = FOLDER / "bin" / name
    return found if found.exists() else None
