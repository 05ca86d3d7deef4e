"""The documents keep their word: links lead somewhere, commands exist, no registry's address is written down."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from leverlock.cli.main import app

ROOT = Path(__file__).resolve().parent.parent.parent

# Put together here, so that this file passes its own test.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("unpkg", "com"),
        ("jsdelivr", "net"),
        ("deb", "debian", "org"),
        ("crates", "io"),
    )
)
DOWNLOAD = re.compile(
    r"^\s*--?(?:extra-)?index-url|^\s*--?find-links"
    r'|"resolved":\s*"http'
    r"|https?://[^\s\"')>]+/(?:simple|packages)/"
    r"|https?://[^\s\"')>]+\.(?:whl|tar\.gz|tgz|zip|deb)\b",
    re.MULTILINE,
)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LEVERLOCK = re.compile(r"`(?:\.venv/bin/)?leverlock ([^`\n]+)`")
MERGE = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
MAKE = re.compile(r"(?:^|[`$;&]|\s{2,})\s*make +([a-z][a-z-]*)", re.MULTILINE)


def tracked() -> list[Path]:
    """The files of the repository: what git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def anchors(text: str) -> set[str]:
    """The names under which a document's headings can be linked to."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Links of a document that lead nowhere in the repository; addresses elsewhere are not followed."""
    for target in LINK.findall(CODE.sub("", FENCE.sub("", text))):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        place = path.parent / name
        if name and not place.exists():
            yield target
        elif anchor and (not name or place.suffix == ".md"):
            source = place.read_text(encoding="utf-8") if name else text
            if anchor not in anchors(source):
                yield target


def commands(text: str) -> set[str]:
    """The verbs of `make` that a document tells the reader to use, in code of either kind."""
    code = "\n".join(FENCE.findall(text) + CODE.findall(FENCE.sub("", text)))
    return set(MAKE.findall(code))


def verbs() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def wrong_commands(text: str) -> Iterator[str]:
    """Calls of `leverlock` in a text that name a command or an option which the program does not have."""
    for line in LEVERLOCK.findall(text):
        command: Any = typer.main.get_command(app)
        words = line.split()
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        unknown = [word for word in words if word.startswith("-") and word not in options]
        if unknown or (words and hasattr(command, "commands") and not words[0].startswith("-")):
            yield line


def lost_modules(text: str) -> list[str]:
    """The modules, and files of statements, that a document names and the package does not have."""
    named = re.findall(r"`([a-z_/]+\.(?:py|sql))`", text)
    return [name for name in named if not (ROOT / "src" / "leverlock" / name).is_file()]


def addresses(text: str) -> list[str]:
    """Registry hosts and download addresses in a text."""
    return [host for host in REGISTRIES if host in text] + [hit.group() for hit in DOWNLOAD.finditer(text)]


def test_links_lead_somewhere() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in documents()
        for target in broken_links(path, path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_every_make_command_in_a_document_exists() -> None:
    found = {
        f"{path.relative_to(ROOT)}: make {verb}"
        for path in documents()
        for verb in commands(path.read_text(encoding="utf-8")) - verbs()
    }
    assert not found, "\n".join(sorted(found))


def test_every_leverlock_command_in_a_document_exists() -> None:
    found = [
        f"{path.relative_to(ROOT)}: leverlock {line}"
        for path in documents()
        for line in wrong_commands(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_make_alone_lists_exactly_the_verbs() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^ +make ([a-z-]+)", done.stdout, re.MULTILINE)) == verbs()
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert set(phony.group(1).split()) == verbs()


def test_no_registry_address_stands_in_a_tracked_file() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in addresses(text)]
    assert not found, "\n".join(found)


def test_every_module_on_the_way_of_a_request_exists() -> None:
    page = (ROOT / "docs" / "security" / "one-request.md").read_text(encoding="utf-8")
    assert re.findall(r"`[a-z_/]+\.py`", page), "it names none"
    assert not lost_modules(page), lost_modules(page)


def test_no_document_holds_the_marks_of_a_merge() -> None:
    found = [path.name for path in documents() if MERGE.search(path.read_text(encoding="utf-8"))]
    assert not found, found


def test_the_rules_see_what_they_are_for() -> None:
    assert lost_modules("`app/prove.py` `app/gone.py` `store/queries.sql` `/v1/keys`") == ["app/gone.py"]
    assert MERGE.search("| a |\n=======\n| b |")
    assert not MERGE.search("a ======= b\n|---|")
    here = ROOT / "docs" / "page.md"
    page = "# A page: one\n[a](#a-page-one) [b](#nowhere) [c](../Makefile) [d](gone.md) [e](https://x.example)\n"
    assert list(broken_links(here, page + "`[f](code.md)`\n```\n[g](code.md)\n```\n")) == ["#nowhere", "gone.md"]
    told = "```\nmake demo   # x\n  make test\n```\nto make up `make bars PROVE=1`"
    assert sorted(commands(told)) == ["bars", "demo", "test"]
    called = "`leverlock key create --account a` `leverlock key make` `.venv/bin/leverlock account create --login a`"
    assert list(wrong_commands(called)) == ["key make", "account create --login a"]
    host = REGISTRIES[0]
    assert addresses(f"see {host}") == [host]
    web = "https:/"  # in two parts, for the same reason as the hosts
    assert len(addresses(f"{web}/h.example/simple/ and {web}/h.example/a-1.whl")) == 2
    assert addresses("--index-url x") == ["--index-url"]
    assert addresses("--hash=sha256:00 # via ccxt") == []
