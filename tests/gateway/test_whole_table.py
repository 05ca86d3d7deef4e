"""Every row of the endpoint table that does something: what it means is what we know, or it is refused (B43, B69)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway.live import Client, Live
from gateway.test_grants import owner_of_all
from leverlock.domain.values import Kind
from leverlock.gateway.binance.endpoints import ENDPOINTS
from leverlock.gateway.binance.forms import BATCH, Choice, Form
from unit.domain.samples import full_fields

ACTING = [row for row in ENDPOINTS.values() if row.says is not None]
NEW_WORD = "NEW_WORD"


def spoken(form: Form) -> dict[str, str]:
    """Every parameter that this form knows, with a value that it takes."""
    fields = full_fields(form.action) | {"symbol": "BTCUSDT"}
    told = {parameter: next(iter(form.words.get(parameter, [fields[name]]))) for parameter, name in form.names.items()}
    return {**form.constants, **told}


def calls(says: Form | Choice) -> Iterator[tuple[Form, dict[str, str]]]:
    for form in [says] if isinstance(says, Form) else says.forms.values():
        if form.legs is None:
            yield form, spoken(form)
        else:
            yield form.legs, {BATCH: json.dumps([spoken(form.legs)])}


def closed(form: Form) -> list[str]:
    """The parameters whose words are counted: choices, flags, and those that tell what the call means."""
    kinds = {parameter: form.action.fields[name].kind for parameter, name in form.names.items()}
    words = [name for name, kind in kinds.items() if kind in (Kind.CHOICE, Kind.BOOLEAN) or name in form.words]
    return [*form.constants, *words]


@pytest.fixture(scope="module")
def bot(live_module: Live) -> Client:
    """Of an account without protection: nothing but the forms stands in the way."""
    return live_module.client(owner_of_all(live_module))


def leg_changed(text: str, name: str, value: str) -> str:
    [leg] = json.loads(text)
    return json.dumps([leg | {name: value}])


@pytest.mark.bar("B69")
@pytest.mark.bar("B43")
@pytest.mark.parametrize("row", ACTING, ids=lambda row: f"{row.method} {row.path}")
def test_a_new_word_of_the_venue_is_refused_wherever_it_stands(live: Live, bot: Client, row) -> None:  # type: ignore[no-untyped-def]
    """The same call with every word known is judged and reaches the venue, so it is the new word that is refused."""
    assert row.says is not None
    for number, (form, params) in enumerate(calls(row.says)):
        live.venue.clear_calls()
        known = bot.call(row.method, row.path, params)
        assert len(live.executed()) == 1 or known.stepped_up, (params, known)  # the password is always asked for
        if number % 9:
            continue  # of the eighty types of transfer every ninth is changed in each place
        live.venue.clear_calls()
        for name in [*closed(form), "newFlag"]:
            changed = (
                {BATCH: leg_changed(params[BATCH], name, NEW_WORD)} if BATCH in params else params | {name: NEW_WORD}
            )
            answer = bot.call(row.method, row.path, changed)
            assert 400 <= answer.status < 500, (name, answer)
            assert not answer.stepped_up
            assert answer.code in (-1100, -1104, -40106), (name, answer)
        assert live.executed() == []
