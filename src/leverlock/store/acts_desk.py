"""Acts on operators and what they decide about: recovery cases with their documents, proposals."""

from __future__ import annotations

import json

from leverlock.domain.environment import Environment
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.recovery_case import CaseState, Document, RecoveryCase
from leverlock.domain.roles import Operator, Role
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class DeskActs(UnitOfWork):
    """Who may decide, and what waits for a decision."""

    # -- operators ---------------------------------------------------------------------------------------------------
    def set_role(self, account_id: str, *, before: Role | None, after: Role | None) -> bool:
        named = {"account_id": account_id, "before": before or ""}
        if after is None:
            return self._cursor.write("take_role", named) == 1
        statement = "give_role" if before is None else "change_role"
        return self._cursor.write(statement, {**named, "role": after.value, "now": self.now}) == 1

    def operator(self, account_id: str) -> Operator | None:
        row = self._cursor.one("operator", {"account_id": account_id})
        return None if row is None else rows.operator(row)

    def operators(self) -> list[Operator]:
        return [rows.operator(row) for row in self._cursor.all("operators", {})]

    # -- recovery cases ----------------------------------------------------------------------------------------------
    def insert_case(self, case: RecoveryCase) -> bool:
        assert case.data_key is not None
        return (
            self._cursor.write(
                "insert_case",
                {
                    **_named(case),
                    "environments": " ".join(case.environments),
                    "statement": case.statement,
                    "opened_by": case.opened_by,
                    "opened_at": case.opened_at,
                    "expires_at": case.expires_at,
                    "key_version": case.data_key.key_version,
                    "nonce": case.data_key.nonce,
                    "ciphertext": case.data_key.ciphertext,
                },
            )
            == 1
        )

    def recovery_case(self, account_id: str, case_id: str) -> RecoveryCase | None:
        row = self._cursor.one("case", {"account_id": account_id, "case_id": case_id})
        return None if row is None else rows.recovery_case(row)

    def recovery_cases(self, account_id: str) -> list[RecoveryCase]:
        return [rows.recovery_case(row) for row in self._cursor.all("cases_of", {"account_id": account_id})]

    def cases_in(self, state: CaseState, *, since: int, limit: int) -> list[RecoveryCase]:
        found = self._cursor.all("cases_in", {"state": state.value, "since": since, "limit": limit})
        return [rows.recovery_case(row) for row in found]

    def submit_case(self, case: RecoveryCase) -> bool:
        return self._cursor.write("submit_case", {**_named(case), "now": self.now}) == 1

    def approve_case_once(self, case: RecoveryCase, *, by: str) -> bool:
        return self._cursor.write("approve_case_once", {**_named(case), "by": by, "now": self.now}) == 1

    def approve_case_twice(self, case: RecoveryCase, *, by: str, ready_at: int, expires_at: int) -> bool:
        times = {"now": self.now, "ready_at": ready_at, "expires_after": expires_at}
        return self._cursor.write("approve_case_twice", {**_named(case), "by": by, **times}) == 1

    def ready_case(self, case: RecoveryCase) -> bool:
        return self._cursor.write("ready_case", {**_named(case), "now": self.now}) == 1

    def issue_case_link(self, case: RecoveryCase, *, number: int, link_hash: bytes, expires_at: int) -> bool:
        link = {"link_number": number, "link_hash": link_hash, "link_expires_at": expires_at}
        return self._cursor.write("issue_case_link", {**_named(case), **link, "now": self.now}) == 1

    def use_case_link(self, case: RecoveryCase, *, link_hash: bytes, session_id: str) -> bool:
        used = {"link_hash": link_hash, "session_id": session_id, "now": self.now}
        return self._cursor.write("use_case_link", {**_named(case), **used}) == 1

    def close_case(self, case: RecoveryCase, *, to: CaseState, by: str, because: str) -> bool:
        closed = {"before": case.state.value, "after": to.value, "by": by, "because": because, "now": self.now}
        return self._cursor.write("close_case", {**_named(case), **closed}) == 1

    def due_cases(self, *, kept_ms: int, limit: int) -> list[str]:
        parameters = {"now": self.now, "closed_before": self.now - kept_ms, "limit": limit}
        return [str(row[0]) for row in self._cursor.all("due_cases", parameters)]

    def insert_document(self, document: Document, *, most: int) -> bool:
        return (
            self._cursor.write(
                "insert_document",
                {
                    "account_id": document.account_id,
                    "case_id": document.case_id,
                    "document_id": document.document_id,
                    "kind": document.kind.value,
                    "type": document.type.value,
                    "size": document.size,
                    "nonce": document.nonce,
                    "added_by": document.added_by,
                    "now": self.now,
                    "most": most,
                },
            )
            == 1
        )

    def documents(self, account_id: str, case_id: str) -> list[Document]:
        found = self._cursor.all("documents", {"account_id": account_id, "case_id": case_id})
        return [rows.document(row) for row in found]

    def document_ids(self, case_id: str) -> frozenset[str]:
        return frozenset(str(row[0]) for row in self._cursor.all("document_ids", {"case_id": case_id}))

    def destroy_documents(self, case: RecoveryCase, *, kept_ms: int) -> list[str] | None:
        if self._cursor.write("destroy_case_key", {**_named(case), "closed_before": self.now - kept_ms}) != 1:
            return None
        return [str(row[0]) for row in self._cursor.all("forget_documents", _named(case))]

    # -- proposals ---------------------------------------------------------------------------------------------------
    def insert_proposal(self, proposal: Proposal) -> bool:
        return (
            self._cursor.write(
                "insert_proposal",
                {
                    **_of(proposal),
                    "kind": proposal.kind.value,
                    "content": proposal.content,
                    "version": proposal.version,
                    "summary": json.dumps(list(proposal.summary), ensure_ascii=False),
                    "environments": " ".join(proposal.environments),
                    "proposed_by": proposal.proposed_by,
                    "proposed_at": proposal.proposed_at,
                    "expires_at": proposal.expires_at,
                    "first_by": proposal.first_by,
                },
            )
            == 1
        )

    def proposal(self, account_id: str, proposal_id: str) -> Proposal | None:
        row = self._cursor.one("proposal", {"account_id": account_id, "proposal_id": proposal_id})
        return None if row is None else rows.proposal(row)

    def live_proposal(self, account_id: str, kind: ProposalKind) -> Proposal | None:
        row = self._cursor.one("live_proposal", {"account_id": account_id, "kind": kind.value})
        return None if row is None else rows.proposal(row)

    def proposals_in(self, state: ProposalState, *, limit: int) -> list[Proposal]:
        found = self._cursor.all("proposals_in", {"state": state.value, "limit": limit})
        return [rows.proposal(row) for row in found]

    def second_proposal(self, proposal: Proposal, *, by: str) -> bool:
        return self._cursor.write("second_proposal", {**_of(proposal), "by": by, "now": self.now}) == 1

    def approve_proposal(self, proposal: Proposal, *, by: str, due_at: int) -> bool:
        approval = {"by": by, "due_at": due_at, "now": self.now}
        return self._cursor.write("approve_proposal", {**_of(proposal), **approval}) == 1

    def carry_out_proposal(self, proposal: Proposal) -> bool:
        return self._cursor.write("carry_out_proposal", {**_of(proposal), "now": self.now}) == 1

    def close_proposal(self, proposal: Proposal, *, to: ProposalState, by: str) -> bool:
        closed = {"before": proposal.state.value, "after": to.value, "by": by}
        return self._cursor.write("close_proposal", {**_of(proposal), **closed}) == 1

    def note_told(self, proposal: Proposal, *, after: str) -> bool:
        told = {"before": proposal.told_after, "told_after": after}
        return self._cursor.write("note_told", {**_of(proposal), **told}) == 1

    def protected_accounts(self, environments: tuple[Environment, ...], *, after: str, limit: int) -> list[str]:
        parameters = {"environments": " ".join(environments), "after": after, "limit": limit}
        return [str(row[0]) for row in self._cursor.all("protected_accounts", parameters)]


def _named(case: RecoveryCase) -> dict[str, str]:
    return {"account_id": case.account_id, "case_id": case.case_id}


def _of(proposal: Proposal) -> dict[str, str]:
    return {"account_id": proposal.account_id, "proposal_id": proposal.proposal_id}
