"""`make bars`: what the test suite shows of every security bar and mission row.

proved     every guard of the bar was taken out, in a run on record, and its tests noticed; neither the entry,
           nor the text it removes, nor the tests that noticed have changed since
labelled   tests carry the bar, but taking the guard out has not been tried, or was not noticed
none       no test carries it
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from guards import Guard, Guards, GuardsError
from proving import Outcome, collect, prove

ROOT = Path(__file__).resolve().parent.parent
TITLES = Path(__file__).resolve().parent / "bars.toml"
RECORD = Path("tests") / "bars-proved.json"


@dataclass(frozen=True)
class Line:
    """One bar or row as it is printed."""

    id: str
    title: str
    state: str
    cases: int
    tests: list[str]
    guards: int
    missing: str
    why: list[str]  # what keeps it from being proved
    commit: list[str]  # the commits its removals ran on


def titles() -> dict[str, str]:
    """Id -> title, bars first, in the order of their numbers."""
    data = tomllib.loads(TITLES.read_text(encoding="utf-8"))
    return {**data["bar"], **data["mission"]}


def lines(root: Path, guards: Guards, collected: list[dict[str, Any]], record: dict[str, Any]) -> list[Line]:
    """The whole table; pure reading of what is on disk."""
    digests = {test["function"]: test["digest"] for test in collected}
    result = []
    for id_, title in titles().items():
        tests = [test for test in collected if id_ in test["bars"]]
        mine = [guard for guard in guards.guards if guard.id == id_]
        why = [f"{g.where}: {r}" for g in mine if (r := _not_proved(g, root, record, digests))]
        if not mine and tests:
            why = ["no guard named"]
        proved = bool(tests and mine and not why)
        result.append(
            Line(
                id=id_,
                title=title,
                state="proved" if proved else "labelled" if tests else "none",
                cases=len(tests),
                tests=sorted({test["function"] for test in tests}),
                guards=len(mine),
                missing=guards.missing.get(id_, ""),
                why=why if tests or mine else [],
                commit=sorted({record[g.digest]["commit"] for g in mine}) if proved else [],
            )
        )
    return result


def _not_proved(guard: Guard, root: Path, record: dict[str, Any], digests: dict[str, str]) -> str:
    """Why the record does not prove this guard today, or ""."""
    if reason := guard.stale(root):
        return f"stale: {reason}"
    entry = record.get(guard.digest)
    if entry is None:
        return "its removal was not tried in this form"
    if entry["state"] != "noticed":
        return " ".join(filter(None, [entry["state"], entry.get("detail", "")]))
    if not any(digests.get(test) == digest for test, digest in entry["noticed_by"].items()):
        return "the test that noticed has changed since"
    return ""


def commit(root: Path) -> str:
    """The commit of the tree, with a `+` where files differ from it (the record itself aside)."""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=True).stdout

    changed = [line for line in git("status", "--porcelain").splitlines() if RECORD.name not in line]
    return git("rev-parse", "--short=12", "HEAD").strip() + ("+" if changed else "")


def read_record(root: Path) -> dict[str, Any]:
    """Digest of a guard -> what became of its removal, when last tried."""
    path = root / RECORD
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return record


def take_out(
    root: Path, guards: Guards, asked: list[Guard], collected: list[dict[str, Any]], *, stale_only: bool
) -> bool:
    """Try the removals asked for and record each as it ends; False if one was not noticed."""
    record = read_record(root)
    if stale_only:
        digests = {test["function"]: test["digest"] for test in collected}
        asked = [guard for guard in asked if _not_proved(guard, root, record, digests)]
    on = commit(root)
    # Entries of removals that exist no more are dropped.
    current = {guard.digest for guard in guards.guards}
    record = {digest: entry for digest, entry in record.items() if digest in current}
    done = 0

    def report(guard: Guard, outcome: Outcome) -> None:
        nonlocal done
        done += 1
        named = {"id": guard.id, "file": guard.file, "where": guard.where}
        record[guard.digest] = {**named, **asdict(outcome), "commit": on}
        ordered = dict(sorted(record.items(), key=_place))
        (root / RECORD).write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
        told = outcome.detail or ", ".join(outcome.noticed_by)
        place = f"[{done}/{len(asked)}] {guard.id} {guard.where}"
        print(f"{place}: {outcome.state}; {told}", file=sys.stderr, flush=True)

    print(f"taking out {len(asked)} guards, two at a time", file=sys.stderr)
    outcomes = prove(root, asked, collected, report)
    return all(outcome.state == "noticed" for outcome in outcomes.values())


def _place(pair: tuple[str, dict[str, Any]]) -> tuple[str, int, str, str]:
    digest, entry = pair
    return entry["id"][0], int(entry["id"][1:]), entry["where"], digest


def table(found: list[Line]) -> str:
    """For people: a line per bar or row, its tests below it, and what is missing."""
    mark = {"proved": "proved  ", "labelled": "labelled", "none": "none    "}
    text = []
    for line in found:
        tests = f"{line.cases} test{'s' if line.cases != 1 else ''}" if line.cases else ""
        text.append(f"{line.id:<5} {mark[line.state]} {line.title:<74} {tests}".rstrip())
        text += [f"{'':15}{test}" for test in line.tests]
        text += [f"{'':15}seen on {', '.join(line.commit)}"] if line.commit else []
        text += [f"{'':15}! {why}" for why in line.why]
        text += [f"{'':15}missing: {line.missing}"] if line.missing else []
    for kind, name in (("B", "bars"), ("M", "rows")):
        mine = [line for line in found if line.id.startswith(kind)]
        if mine:
            counts = {state: sum(line.state == state for line in mine) for state in mark}
            half = sum(line.state == "proved" and line.missing != "" for line in mine)
            told = f"{counts['proved']} proved" + (f" ({half} with a half still missing)" if half else "")
            text.append(f"{len(mine)} {name}: {told}, {counts['labelled']} labelled, {counts['none']} none")
    return "\n".join(text)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bars", description=__doc__.splitlines()[0])
    parser.add_argument("--prove", metavar="1|stale", help="take the guards out; stale: only the unproved")
    parser.add_argument("--only", default="", help="ids, comma-separated: B5,M15")
    parser.add_argument("--json", action="store_true", help="the table as JSON")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project to read")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    given = arguments(argv)
    root = given.root.resolve()
    known = frozenset(titles())
    only = {id_.strip() for id_ in given.only.split(",") if id_.strip()}
    if unknown := only - known:
        print(f"no such bar or row: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    try:
        guards = Guards.read(root / "tests" / "guards.toml", known)
        collected = collect(root)
        noticed = True
        if given.prove and given.prove != "0":
            asked = [guard for guard in guards.guards if not only or guard.id in only]
            noticed = take_out(root, guards, asked, collected, stale_only=given.prove == "stale")
    except (GuardsError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    record = read_record(root)
    found = [line for line in lines(root, guards, collected, record) if not only or line.id in only]
    print(json.dumps([asdict(line) for line in found], indent=1) if given.json else table(found))
    return 0 if noticed else 1


if __name__ == "__main__":
    sys.exit(main())
