"""What anybody may read: is it alive, is it ready and if not why, the OpenAPI document, what a problem means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from leverlock.api.endpoint import ApiParts, Call, Endpoint, Who
from leverlock.api.openapi import document
from leverlock.api.problems import PROBLEMS, Edge, EdgeRefused, Problem, type_of
from leverlock.api.views import View
from leverlock.app.fence import rising
from leverlock.app.policies import IN_FORCE
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.ports import Transaction

_NOT_READY: Final = {
    Reason.STORE_UNAVAILABLE: "the database cannot be reached",
    Reason.CLOCK_BEHIND: "the clock is behind what the database has already seen",
}

_STAGES: Final = {
    ProposalState.OPEN: "proposed; it needs two operators",
    ProposalState.APPROVED: "approved; it waits for its day",
}


class Alive(View):
    """The process answers. Whether it can do its work is for `/readyz` to say."""

    status: str


class Ready(View):
    """The database answers, the clock is right, and the policy loaded here is the one in force.

    `waiting`: another policy, which demands less, is proposed or waits for its day.
    """

    status: str
    policy: str
    waiting: str | UnsetType = UNSET


class Meaning(View):
    """What a problem type means."""

    type: str
    status: int
    title: str
    detail: str


class OpenApi(View):
    """This document."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]


async def alive(_parts: ApiParts, _call: Call) -> Alive:
    return Alive("alive")


async def ready(parts: ApiParts, _call: Call) -> Ready:
    policy = parts.world.policy()

    def look(tx: Transaction) -> tuple[str | None, Proposal | None]:
        if rising(tx) is not None:
            raise EdgeRefused(Edge.NOT_READY, detail="a fence is being raised; nothing is verified until it stands")
        assert tx.now
        return tx.setting(IN_FORCE), tx.live_proposal(SYSTEM_ACCOUNT, ProposalKind.POLICY)

    try:
        in_force, proposal = await parts.store.read(look)
    except Refused as refused:
        raise EdgeRefused(Edge.NOT_READY, detail=_NOT_READY.get(refused.reason, "nothing can be decided")) from None
    if in_force != policy.version:
        raise EdgeRefused(Edge.NOT_READY, detail="the policy loaded here is not the one in force")
    answer = Ready("ready", policy.name)
    if proposal is not None:
        answer.waiting = f"policy {proposal.version} demands less and is {_STAGES[proposal.state]}"
    return answer


async def meaning(_parts: ApiParts, call: Call) -> Meaning:
    wanted = f"/problems/{call.path['name']}"
    for reason, row in PROBLEMS.items():
        if type_of(reason) == wanted:
            return Meaning(wanted, row.status, row.title, row.detail)
    raise Refused(Reason.UNKNOWN_ID)


def endpoints(others: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """The public rows; the document describes `others` and these."""
    rows: list[Endpoint] = []
    encoded: list[msgspec.Raw] = []

    async def openapi(_parts: ApiParts, _call: Call) -> Any:
        if not encoded:
            encoded.append(msgspec.Raw(msgspec.json.encode(document((*others, *rows), problem=Problem))))
        return encoded[0]

    # fmt: off
    rows += [
        Endpoint(
            method="GET", path="/healthz", summary="Is the process alive?",
            who=Who.ANYBODY, answer=Alive, prepare=alive, work=_never,
        ),
        Endpoint(
            method="GET", path="/readyz", summary="Can it do its work, and if not, why not?",
            who=Who.ANYBODY, answer=Ready, reasons=(Edge.NOT_READY,), prepare=ready, work=_never,
        ),
        Endpoint(
            method="GET", path="/openapi.json", summary="This API as an OpenAPI 3.1 document",
            who=Who.ANYBODY, answer=OpenApi, prepare=openapi, work=_never,
        ),
        Endpoint(
            method="GET", path="/problems/{name}", summary="What a problem type means",
            who=Who.ANYBODY, answer=Meaning, reasons=(Reason.UNKNOWN_ID,), prepare=meaning, work=_never,
        ),
    ]
    # fmt: on
    return tuple(rows)


def _never(*_: Any) -> Any:
    raise AssertionError("a public document needs no transaction")
