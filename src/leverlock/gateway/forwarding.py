"""Forwarding: which parameters go on to the venue, and what its answer becomes on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

from leverlock.gateway import refusals
from leverlock.gateway.binance.endpoints import Endpoint
from leverlock.gateway.binance.errors import UnreadParameter
from leverlock.gateway.binance.signature import SignedCall
from leverlock.gateway.refusals import Answer
from leverlock.gateway.upstream import Answered, NotSent, Outcome, Unknown
from leverlock.gateway.venue import VenueAccount


def known(endpoint: Endpoint, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """The parameters, each of which the endpoint knows. Raises UnreadParameter."""
    for name in parameters:
        if name not in endpoint.names:
            raise UnreadParameter(f"Not all sent parameters were read; '{name}' is not known here.")
    return parameters


def plain_query(endpoint: Endpoint, parameters: Mapping[str, str]) -> bytes:
    """The query of a call that the venue takes without a signature."""
    return urlencode(list(known(endpoint, parameters).items()), quote_via=quote).encode()


async def forward(
    account: VenueAccount, endpoint: Endpoint, call: SignedCall, parameters: Iterable[tuple[str, str]]
) -> Outcome:
    """Sign with the venue's key and send, once, under the client's own timestamp and window."""
    return await account.send_signed(
        account.base(endpoint.base),
        endpoint.method,
        endpoint.path,
        parameters,
        timestamp=call.timestamp,
        receive_window=call.receive_window,
    )


def unknown_reason(outcome: Outcome) -> str | None:
    """Why nobody knows whether it was executed, None where that is known. A 5xx of the venue means unknown."""
    if isinstance(outcome, Unknown):
        return outcome.reason
    return "venue_error" if isinstance(outcome, Answered) and outcome.status >= 500 else None


def passed_on(outcome: Outcome) -> Answer:
    """The venue's answer as it came; for an answer that did not come, what is known of the execution."""
    if isinstance(outcome, Answered):
        headers = tuple((name.encode(), value.encode("latin-1")) for name, value in outcome.headers)
        return Answer(outcome.status, headers, outcome.body)
    if isinstance(outcome, NotSent):
        return refusals.answer(refusals.NOT_SENT)
    return refusals.answer(refusals.UNKNOWN_OUTCOME)
