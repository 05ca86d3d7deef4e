"""Every table with a sealed secret, and what the secret of a row is bound to: the one list that rotation goes through.

Each has two statements of its name, `sealed_<table>` and `reseal_<table>`, and `versions_<table>` for the count. A test
finds every table of the schema that has a ciphertext and demands an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leverlock.domain.api_key import key_context, upstream_context
from leverlock.domain.authenticator import AuthenticatorKind, SealedSecret, StoredSecret, seal_context
from leverlock.domain.environment import Environment
from leverlock.domain.recovery_case import case_context
from leverlock.store.rows import Row

# (account, id of the row, what else the statement selects) -> context
Context = Callable[[str, str, Row], str]

SEALED: Final[dict[str, Context]] = {
    "authenticator": lambda account, name, more: seal_context(
        account, Environment(more[0]), name, more[1], kind=AuthenticatorKind(more[2])
    ),
    "api_key": lambda account, name, _: key_context(account, name),
    "upstream": lambda account, name, _: upstream_context(account, name),
    "recovery_case": lambda account, name, _: case_context(account, name),
}


def stored_secret(account_id: str, table: str, row: Row) -> StoredSecret:
    """A row of `sealed_<table>`: id, key version, nonce, ciphertext, and what its context is made of."""
    row_id, key_version, nonce, ciphertext, *more = row
    context = SEALED[table](account_id, row_id, tuple(more))
    return StoredSecret(account_id, table, row_id, context, SealedSecret(key_version, nonce, ciphertext))
