"""The part of the route table that belongs to the desk: recovery cases of owners, and all that operators ask for."""

from __future__ import annotations

from typing import Final

from leverlock.api import cases, desk, proposals
from leverlock.api.cases import PICTURES, CaseForm, CaseList, CaseView, DocumentQuery, TakenView
from leverlock.api.desk import (
    CasesQuery,
    DeskAccountView,
    LinkView,
    LoginQuery,
    OperatorView,
    ReasonForm,
    StandingView,
)
from leverlock.api.endpoint import Endpoint, Who
from leverlock.api.proposals import (
    OperatorList,
    PolicyForm,
    PolicyOutcome,
    PolicyView,
    ProposalList,
    ProposalsQuery,
    ProposalView,
    RoleForm,
)
from leverlock.api.recovery import LinkForm
from leverlock.api.views import OpenedSession
from leverlock.domain.errors import Reason
from leverlock.domain.roles import Permission

R, P = Reason, Permission  # the table is read by its columns

_OPENING: Final = (R.ACCOUNT_LOCKED, R.NO_NOTICE_ADDRESS, R.TOO_MANY_CASES, R.CONFLICT)
_CASE: Final = "/v1/operator/accounts/{account}/cases/{case}"
_PROPOSAL: Final = "/v1/operator/accounts/{subject}/proposals/{proposal}"

# fmt: off
RECOVERY_CASES: Final = (
    Endpoint(
        method="POST", path="/v1/recovery-cases", summary="Say which authenticators were lost",
        who=Who.RECOVERER, body=CaseForm, answer=CaseView, status=201, remembered=True,
        reasons=_OPENING,
        work=cases.open_case, read=cases.canonical,
    ),
    Endpoint(
        method="GET", path="/v1/recovery-cases", summary="List this account's recovery cases",
        who=Who.RECOVERER, answer=CaseList,
        work=cases.list_cases,
    ),
    Endpoint(
        method="GET", path="/v1/recovery-cases/{id}", summary="Show a recovery case, and what comes next",
        who=Who.RECOVERER, answer=CaseView,
        work=cases.show,
    ),
    Endpoint(
        method="POST", path="/v1/recovery-cases/{id}/documents", summary="Bring a document: the body is the picture",
        who=Who.RECOVERER, query=DocumentQuery, takes=PICTURES, answer=TakenView, status=201,
        reasons=(R.CASE_STATE, R.TOO_MANY_DOCUMENTS),
        work=cases.in_prepare, prepare=cases.add_document,
    ),
    Endpoint(
        method="POST", path="/v1/recovery-cases/{id}/submission", summary="Hand the case to the desk",
        who=Who.RECOVERER, answer=CaseView, remembered=True,
        reasons=(R.CASE_STATE, R.DOCUMENTS_MISSING, R.ACCOUNT_LOCKED),
        work=cases.submit,
    ),
    Endpoint(
        method="DELETE", path="/v1/recovery-cases/{id}", summary="Stop a recovery case for good",
        who=Who.RECOVERER, answer=CaseView, remembered=True,
        reasons=(R.CASE_STATE,),
        work=cases.cancel,
    ),
    Endpoint(
        method="POST", path="/v1/recovery-links", summary="Follow the link of a case, and bind anew what was lost",
        who=Who.ANYBODY, body=LinkForm, answer=OpenedSession, status=201, secret=True,
        reasons=(R.UNKNOWN_ID,),
        work=cases.follow_link,
    ),
)

DESK: Final = (
    Endpoint(
        method="GET", path="/v1/operator", summary="Show who is at the desk, and what his role permits",
        who=Who.OPERATOR, permission=P.FIND_ACCOUNT, answer=OperatorView,
        work=desk.whoami,
    ),
    Endpoint(
        method="GET", path="/v1/operator/accounts", summary="Find an account by its login name",
        who=Who.OPERATOR, permission=P.FIND_ACCOUNT, query=LoginQuery, answer=DeskAccountView,
        reasons=(R.UNKNOWN_ID,),
        work=desk.find_account, read=desk.login_read,
    ),
    Endpoint(
        method="POST", path="/v1/operator/accounts/{account}/lock", summary="Stop an account; only cancels pass",
        who=Who.OPERATOR, permission=P.LOCK_ACCOUNT, body=ReasonForm, answer=StandingView,
        reasons=(R.CONFLICT,),
        work=desk.lock, read=desk.reason_read,
    ),
    Endpoint(
        method="POST", path="/v1/operator/accounts/{account}/unlock", summary="Let a locked account go on",
        who=Who.OPERATOR, permission=P.UNLOCK_ACCOUNT, body=ReasonForm, answer=StandingView,
        reasons=(R.CONFLICT,),
        work=desk.unlock, read=desk.reason_read,
    ),
    Endpoint(
        method="GET", path="/v1/operator/cases", summary="List recovery cases in one state, oldest first",
        who=Who.OPERATOR, permission=P.READ_CASES, query=CasesQuery, answer=CaseList,
        work=desk.list_cases,
    ),
    Endpoint(
        method="POST", path="/v1/operator/accounts/{account}/cases",
        summary="Open a recovery case for somebody who cannot sign in",
        who=Who.OPERATOR, permission=P.OPEN_CASE, body=CaseForm, answer=CaseView, status=201,
        reasons=_OPENING,
        work=desk.open_case, read=cases.canonical,
    ),
    Endpoint(
        method="GET", path=_CASE, summary="Show a recovery case",
        who=Who.OPERATOR, permission=P.READ_CASES, answer=CaseView,
        work=desk.show_case,
    ),
    Endpoint(
        method="POST", path=_CASE + "/documents", summary="Bring a document to a case opened for somebody",
        who=Who.OPERATOR, permission=P.OPEN_CASE, query=DocumentQuery, takes=PICTURES, answer=TakenView, status=201,
        reasons=(R.CASE_STATE, R.TOO_MANY_DOCUMENTS),
        work=cases.in_prepare, prepare=desk.add_document,
    ),
    Endpoint(
        method="POST", path=_CASE + "/submission", summary="Hand in a case opened for somebody",
        who=Who.OPERATOR, permission=P.OPEN_CASE, answer=CaseView,
        reasons=(R.CASE_STATE, R.DOCUMENTS_MISSING, R.ACCOUNT_LOCKED),
        work=desk.submit,
    ),
    Endpoint(
        method="POST", path=_CASE + "/documents/{document}/view", summary="Look at a document, and say why",
        who=Who.OPERATOR, permission=P.VIEW_DOCUMENTS, body=ReasonForm, gives=PICTURES,
        work=desk.view_document, read=desk.reason_read, finish=desk.show_document,
    ),
    Endpoint(
        method="POST", path=_CASE + "/approval", summary="Approve a case, as the first or the second agent",
        who=Who.OPERATOR, permission=P.DECIDE_CASE, answer=CaseView,
        reasons=(R.CASE_STATE, R.ACCOUNT_LOCKED),
        work=desk.approve,
    ),
    Endpoint(
        method="POST", path=_CASE + "/refusal", summary="Refuse a case",
        who=Who.OPERATOR, permission=P.DECIDE_CASE, body=ReasonForm, answer=CaseView,
        reasons=(R.CASE_STATE,),
        work=desk.refuse, read=desk.reason_read,
    ),
    Endpoint(
        method="POST", path=_CASE + "/link", summary="Have the enrolment link sent to the owner's addresses again",
        who=Who.OPERATOR, permission=P.DECIDE_CASE, answer=LinkView,
        reasons=(R.CASE_STATE, R.ACCOUNT_LOCKED),
        work=desk.send_link,
    ),
    Endpoint(
        method="GET", path="/v1/operator/operators", summary="List the operators",
        who=Who.OPERATOR, permission=P.READ_PROPOSALS, answer=OperatorList,
        work=proposals.list_operators,
    ),
    Endpoint(
        method="POST", path="/v1/operator/accounts/{account}/role", summary="Propose that an account has another role",
        who=Who.OPERATOR, permission=P.CHANGE_OPERATORS, body=RoleForm, answer=ProposalView, status=201,
        reasons=(R.CONFLICT,),
        work=proposals.propose_role,
    ),
    Endpoint(
        method="GET", path="/v1/operator/policy", summary="Show the policy in force",
        who=Who.OPERATOR, permission=P.READ_PROPOSALS, answer=PolicyView,
        work=proposals.show_policy,
    ),
    Endpoint(
        method="POST", path="/v1/operator/policy",
        summary="Put a policy in force, or propose it where it demands less anywhere",
        who=Who.OPERATOR, permission=P.CHANGE_POLICY, body=PolicyForm, answer=PolicyOutcome,
        reasons=(R.POLICY_REFUSED, R.CONFLICT),
        work=proposals.propose_policy, read=proposals.policy_read,
    ),
    Endpoint(
        method="GET", path="/v1/operator/proposals", summary="List proposals in one state",
        who=Who.OPERATOR, permission=P.READ_PROPOSALS, query=ProposalsQuery, answer=ProposalList,
        work=proposals.list_proposals,
    ),
    Endpoint(
        method="POST", path=_PROPOSAL + "/approval", summary="Agree to a proposal, as one of two operators",
        who=Who.OPERATOR, permission=P.READ_PROPOSALS, answer=ProposalView,
        reasons=(R.PROPOSAL_STATE, R.CONFLICT),
        work=proposals.approve,
    ),
    Endpoint(
        method="POST", path=_PROPOSAL + "/refusal", summary="Refuse or withdraw a proposal, also while it waits",
        who=Who.OPERATOR, permission=P.READ_PROPOSALS, answer=ProposalView,
        reasons=(R.PROPOSAL_STATE,),
        work=proposals.refuse,
    ),
)
# fmt: on
