"""Where the owner is rung and told: a new address answers before it serves, the old one hears for a week."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.coming_back import NEW, OLD, addresses, bodies, consented, forget_messages, naming, reached_at, recover, told
from app.observing import FUTURES, SPOT
from leverlock.app import notice_addresses
from leverlock.app.decide import Asked
from leverlock.domain.errors import Reason
from leverlock.domain.limits import DAY, HOUR
from leverlock.domain.messages import Address, AddressState
from trail_state import must_agree
from world import Deployment, Owner, order, refused


@pytest.fixture
def alice(deployment: Deployment) -> Iterator[Owner]:
    owner = deployment.owner("alice", enrolled=[SPOT, FUTURES])
    yield owner
    trail = owner.deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=100_000))
    must_agree(owner.deployment.path, owner.account_id, trail)


def named(owner: Owner, target: str = NEW, **more: object) -> Address:
    address = consented(owner, naming(owner, target, **more))  # type: ignore[arg-type]
    assert isinstance(address, Address)
    return address


def code_of(owner: Owner) -> str:
    return str(bodies(owner, "address.confirm")[-1]["code"])


def confirm(owner: Owner, address: Address, code: str | None = None) -> Address:
    world, session = owner.deployment.world, owner.session
    assert session is not None
    typed = code or code_of(owner)
    return owner.deployment.run(
        lambda tx: notice_addresses.confirm_address(
            tx, world, session=session, address_id=address.address_id, code=typed
        )
    )


def test_the_owner_agrees_to_exactly_this_change(alice: Owner) -> None:
    old = reached_at(alice)
    asked = alice.deployment.run(naming(alice, NEW, replaces=old))
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["password", "totp"]
    lines = b"".join([asked.challenge.intent])
    assert NEW.encode() in lines
    assert OLD.encode() in lines
    alice.prove(asked.challenge)
    assert isinstance(alice.deployment.run(naming(alice, "thief@example.com", replaces=old)), Asked)


def test_a_new_address_serves_once_its_code_has_come_back(alice: Owner) -> None:
    old = reached_at(alice)
    address = named(alice, replaces=old)
    alice.asked(order(symbol="RING"))
    assert [target for kind, target in told(alice) if kind == "challenge.waiting"][-1] == OLD
    with refused(Reason.WRONG_CODE):
        confirm(alice, address, "aaaaaa-aaaaaa-aaaaaa-aaaaaa")
    confirm(alice, address)
    with refused(Reason.UNKNOWN_ID):
        confirm(alice, address, code_of(alice))
    assert {one.target: one.state for one in addresses(alice)} == {
        NEW: AddressState.SERVING,
        OLD: AddressState.LEAVING,
    }


@pytest.mark.bar("B39")
def test_the_old_address_is_told_of_it_and_of_everything_for_a_week_and_rung_for_nothing(alice: Owner) -> None:
    old = reached_at(alice)
    address = named(alice, replaces=old)
    assert ("address.named", OLD) in told(alice)
    confirm(alice, address)
    assert ("address.serves", OLD) in told(alice)
    forget_messages(alice)
    alice.asked(order(symbol="RING"))
    assert told(alice) == [("challenge.waiting", NEW)]
    forget_messages(alice)
    clock = alice.deployment.clock
    for day, heard in ((6, {OLD, NEW}), (1, {NEW})):
        clock.tick(day * DAY)
        alice.sign_in()
        forget_messages(alice)
        recover(alice, (SPOT, FUTURES)[day == 1])
        assert {target for kind, target in told(alice) if kind == "recovery.opened"} == heard


def test_the_code_is_sent_to_the_new_address_alone_and_dies_in_an_hour(alice: Owner) -> None:
    reached_at(alice)
    address = named(alice)
    assert [pair for pair in told(alice) if pair[0] == "address.confirm"] == [("address.confirm", NEW)]
    code = code_of(alice)
    alice.deployment.clock.tick(HOUR)
    alice.sign_in()
    with refused(Reason.UNKNOWN_ID):
        confirm(alice, address, code)
    assert named(alice)  # it may be named again


@pytest.mark.bar("B34")
def test_while_a_recovery_is_young_no_address_changes(alice: Owner) -> None:
    """Neither one that is asked for then, nor one that was named before."""
    reached_at(alice)
    before = named(alice)
    recover(alice, SPOT)  # of whatever environment: addresses are the account's
    with refused(Reason.ON_HOLD):
        alice.deployment.run(naming(alice, "another@example.com"))
    with refused(Reason.ON_HOLD):
        confirm(alice, before)


def test_a_code_of_one_address_serves_no_other(alice: Owner) -> None:
    first = named(alice)
    code = code_of(alice)
    second = named(alice, "second@example.com")
    with refused(Reason.WRONG_CODE):
        confirm(alice, second, code)
    assert confirm(alice, first, code)


def test_foreign_leaving_and_unknown_addresses_are_replaced_by_nothing(deployment: Deployment, alice: Owner) -> None:
    bob = deployment.owner("bob", enrolled=[FUTURES])
    theirs, old = reached_at(bob), reached_at(alice)
    reached_at(alice, "operator@example.com")  # now the old one is leaving
    for replaced in (theirs, old, "adr_unknown"):
        with refused(Reason.UNKNOWN_ID):
            alice.deployment.run(naming(alice, NEW, replaces=replaced))
    with refused(Reason.CONFLICT):
        alice.deployment.run(naming(alice, "operator@example.com"))


def removing(owner: Owner, address_id: str):  # type: ignore[no-untyped-def]
    world, session = owner.deployment.world, owner.session
    assert session is not None
    return lambda tx: notice_addresses.remove_address(tx, world, session=session, address_id=address_id)


def test_an_address_leaves_and_the_last_one_stays(alice: Owner) -> None:
    old = reached_at(alice)
    with refused(Reason.CONFLICT):
        alice.deployment.run(removing(alice, old))
    confirm(alice, named(alice))
    assert consented(alice, removing(alice, old)) is None
    assert ("address.leaves", OLD) in told(alice)
    with refused(Reason.UNKNOWN_ID):
        alice.deployment.run(removing(alice, old))


def test_an_account_has_eight_addresses_and_no_more(alice: Owner) -> None:
    for number in range(8):
        named(alice, f"{number}@example.com")
    with refused(Reason.CONFLICT):
        alice.deployment.run(naming(alice, "9@example.com"))


def test_what_the_operator_sets_replaces_what_served_and_tells_it(alice: Owner) -> None:
    first = reached_at(alice)
    assert reached_at(alice) == first  # the same again changes nothing
    reached_at(alice, NEW)
    assert told(alice) == [("address.serves", OLD)]
    assert {one.target: one.state.value for one in addresses(alice)} == {NEW: "serving", OLD: "leaving"}
