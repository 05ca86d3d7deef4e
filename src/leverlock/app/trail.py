"""The audit trail, checked: is every chain whole, and is it the one that the signed checkpoints sealed? (B90)

`verify` reads one consistent state of the database and is told the lines of the checkpoint file. What somebody can do
to either, and what shows it:

- edit, delete, insert or reorder a record: the hashes and numbers of its chain;
- cut off the end of a chain: the account's row, and the root of the checkpoint above it if that was edited as well;
- write a whole chain anew, delete an account with its records, cut the end of the table: the checkpoints;
- edit or remove a checkpoint: the lines after it, or for the last ones the number that the database has noted.

What nobody has sealed yet (`unsealed`, at most the last minute) rests on the account's row alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import EVENT_VERSION, GENESIS, ChainedEvent, EventKind, link, merkle_root
from leverlock.domain.checkpoint import Checkpoint, NotACheckpoint, read
from leverlock.ports import Transaction

NOTED: Final = "checkpoint"  # the setting that names the newest checkpoint, as `number:hash`
PAGE: Final = 500
MOST_FINDINGS: Final = 100  # per chain; a chain that is broken everywhere is told once and for all


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: `where` names the record or line, `what` says what is wrong."""

    where: str
    what: str


@dataclass(slots=True)
class Report:
    """What was looked at and what was found. `notes` are oddities that harm nothing."""

    accounts: int = 0
    records: int = 0
    checkpoints: int = 0
    unsealed: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings


def verify(tx: Transaction, *, lines: Iterable[bytes], noted: str | None, public_key: Ed25519PublicKey) -> Report:
    """Check everything. `lines` of the file must have been read after `noted` and before this transaction began."""
    report = Report()
    sealed = _verify_checkpoints(tx, report, lines, noted, public_key)
    known = {SYSTEM_ACCOUNT, *_account_ids(tx)}
    for account_id in sorted(known | sealed):
        records, findings = verify_account(tx, account_id=account_id)
        report.accounts += 1
        report.records += records
        report.findings += findings
    return report


# -- one chain -------------------------------------------------------------------------------------------------------
def verify_account(tx: Transaction, *, account_id: str) -> tuple[int, list[Finding]]:
    """Check one account's chain, record by record: how many there are, and what is wrong with them."""
    findings: list[Finding] = []
    previous: bytes | None = GENESIS
    expected, count, head = 1, 0, GENESIS
    for seq, record in _records(tx, account_id):
        if seq > expected:
            findings.append(_at(account_id, expected, seq - 1, "missing"))
            previous = None
        if record is None:
            findings.append(_at(account_id, seq, seq, "unreadable"))
            previous = None
        else:
            if previous is not None and link(previous, record.body) != record.hash:
                findings.append(_at(account_id, seq, seq, "not what was hashed: edited, or put in another's place"))
            wrong = _disagreement(record)
            if wrong:
                findings.append(_at(account_id, seq, seq, wrong))
            previous = head = record.hash
        expected, count = seq + 1, count + 1
        if len(findings) >= MOST_FINDINGS:
            findings.append(_at(account_id, expected, expected, "not looked at: too much is wrong before it"))
            return count, findings
    return count, findings + _verify_head(tx, account_id, last=expected - 1, head=head)


def _verify_head(tx: Transaction, account_id: str, *, last: int, head: bytes) -> list[Finding]:
    try:
        account = tx.account(account_id)
    except ValueError:
        return [Finding(f"account {account_id}", "its row is unreadable")]
    if account is None:
        return [Finding(f"account {account_id}", "its row is gone, its records are not")]
    if account.chain_seq > last:
        return [_at(account_id, last + 1, account.chain_seq, "missing at the end")]
    if account.chain_seq < last:
        return [_at(account_id, account.chain_seq + 1, last, "beyond the account's head: added, or the head set back")]
    if account.chain_head != head:
        return [_at(account_id, last, last, "not the head that the account's row names")]
    return []


def _records(tx: Transaction, account_id: str) -> Iterator[tuple[int, ChainedEvent | None]]:
    """Every record in order; None for one whose row cannot be read as a record at all."""
    after = 0
    while True:
        try:
            page = tx.events(account_id, after_seq=after, limit=PAGE)
        except ValueError:
            try:
                page = tx.events(account_id, after_seq=after, limit=1)
            except ValueError:
                after += 1
                yield after, None
                continue
        for record in page:
            yield record.seq, record
        if not page:
            return
        after = page[-1].seq


def _disagreement(record: ChainedEvent) -> str:
    """What the columns of a row say otherwise than its hashed body, or nothing."""
    try:
        body = json.loads(record.body)
    except (ValueError, RecursionError):
        return "not JSON"
    columns: dict[str, Any] = {
        "version": EVENT_VERSION,
        "account": record.account_id,
        "seq": record.seq,
        "at": record.at_ms,
        "kind": record.kind.value,
    }
    other = [name for name, value in columns.items() if not isinstance(body, dict) or body.get(name) != value]
    return f"filed under another {', '.join(other)} than it has" if other else ""


def record_line(record: ChainedEvent) -> str:
    """A record as one line of JSON for files, pipes and terminals: ASCII, so no value can break or disguise it (B91).

    `hash` can be computed again from the record before it and this one's canonical form (RFC 8785).
    """
    return json.dumps({"record": json.loads(record.body), "hash": record.hash.hex()}, separators=(",", ":"))


def _at(account_id: str, first: int, last: int, what: str) -> Finding:
    records = f"record {first}" if first == last else f"records {first} to {last}"
    return Finding(f"account {account_id}, {records}", what)


def _account_ids(tx: Transaction) -> Iterator[str]:
    after = ""
    while page := tx.accounts(after=after, limit=PAGE):
        yield from (account.account_id for account in page)
        after = page[-1].account_id


# -- the checkpoints -------------------------------------------------------------------------------------------------
def _verify_checkpoints(
    tx: Transaction, report: Report, lines: Iterable[bytes], noted: str | None, public_key: Ed25519PublicKey
) -> set[str]:
    """Replay the file against the trail; the accounts that have records in what was sealed or still waits for it."""
    newest = tx.changed_heads(after=0)[0]
    lost = _lost(tx)
    last: Checkpoint | None = None
    seen: set[str] = set()
    names: dict[int, str] = {}
    fragments: list[int] = []
    for number, line in enumerate(lines, start=1):
        try:
            checkpoint = read(line, public_key)
        except NotACheckpoint:
            fragments.append(number)
            continue
        if _follows(checkpoint, last):
            # The line after it refers past it: it never was a checkpoint, but what an interrupted write left.
            report.notes += [Finding(f"checkpoint file, line {n}", "a fragment") for n in fragments]
        else:
            report.findings.append(
                Finding(
                    f"checkpoint file, line {number}",
                    f"checkpoint {checkpoint.number} does not follow what stands before it: "
                    + (f"lines {fragments} were edited" if fragments else "lines were removed or put elsewhere"),
                )
            )
        fragments = []
        if checkpoint.number in lost:
            what = "not in this database: an older one was put in its place, and was fenced then"
            report.notes.append(Finding(f"checkpoint {checkpoint.number}", what))
        else:
            seen |= _replay(tx, report, checkpoint, last, newest)
        names[checkpoint.number] = checkpoint.hash.hex()
        report.checkpoints += 1
        last = checkpoint
    report.notes += [Finding(f"checkpoint file, line {n}", "a fragment at the end") for n in fragments]
    report.findings += _compare_note(noted, last, names)
    sealed = 0 if last is None else last.last_event
    report.unsealed = max(newest - sealed, 0)
    return seen | {account_id for account_id, _, _ in tx.heads_between(after=sealed, until=newest)}


def _lost(tx: Transaction) -> set[int]:
    """The checkpoints whose events are known to be lost, as the deployment's own chain tells (B96)."""
    found: set[int] = set()
    for _, record in _records(tx, SYSTEM_ACCOUNT):
        if record is not None and record.kind is EventKind.HISTORY_LOST:
            first, last = json.loads(record.body)["details"]["checkpoints"]
            found.update(range(first, last + 1))
    return found


def _follows(checkpoint: Checkpoint, last: Checkpoint | None) -> bool:
    if last is None:
        return checkpoint.number == 1 and checkpoint.previous == GENESIS
    return checkpoint.number == last.number + 1 and checkpoint.previous == last.hash


def _replay(tx: Transaction, report: Report, checkpoint: Checkpoint, last: Checkpoint | None, newest: int) -> set[str]:
    after = 0 if last is None else last.last_event
    heads = tx.heads_between(after=after, until=checkpoint.last_event)
    where = f"events {after + 1} to {checkpoint.last_event}"
    seal = f"checkpoint {checkpoint.number}"
    if checkpoint.last_event > newest:
        report.findings.append(Finding(where, f"cut off after event {newest}; {seal} sealed them"))
    elif len(heads) != checkpoint.heads or merkle_root(heads) != checkpoint.root:
        what = f"not the records that {seal} sealed ({checkpoint.heads} chains moved then, {len(heads)} are found)"
        report.findings.append(Finding(where, what))
    return {account_id for account_id, _, _ in heads}


def _compare_note(noted: str | None, last: Checkpoint | None, names: dict[int, str]) -> list[Finding]:
    """The database names the newest checkpoint, or the one before where a crash came between file and note."""
    number_text, _, name = (noted or f"0:{GENESIS.hex()}").partition(":")
    newest = 0 if last is None else last.number
    if not number_text.isascii() or not number_text.isdecimal():
        return [Finding("database", "its note of the newest checkpoint is unreadable")]
    number = int(number_text)
    if number > newest:
        return [Finding("checkpoint file", f"checkpoints {newest + 1} to {number} are missing at its end")]
    if newest > number + 1:
        return [Finding("database", f"older than the checkpoint file: it knows {number} of {newest} checkpoints")]
    if number and names.get(number) != name:
        return [Finding("checkpoint file", f"checkpoint {number} is not the one that the database noted")]
    return []
