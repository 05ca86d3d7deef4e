"""Who may answer with what: every action with every kind of proof (B20, semantics 3)."""

from __future__ import annotations

import itertools

import pytest

from leverlock.app.proofs import PART_OF, Proof, must_fit, standing_in
from leverlock.domain.action import Action, ActionType
from leverlock.domain.actions import ACTIONS, OWN_ACTIONS
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy_file import PolicyError, load_policy
from leverlock.domain.requirement import LATER_CODE, Backup, ProofKind, Requirement
from leverlock.ports import PasswordFinding
from world import policy_text

SENT = {
    "code": "123456",
    "password": PasswordFinding("acc_x", "hash", matched=True),
    "sms_code": "12345678",
}
# What semantics 3 lets an SMS stand in for. Everything else: never.
BY_SMS = {
    "futures.order.place",
    "futures.conditional_order.place",
    "futures.order.amend",
    "futures.leverage.set",
    "futures.margin_mode.set",
    "futures.multi_assets.set",
}


def demands(policy: str, action: ActionType) -> list[Requirement]:
    """Every demand that a challenge of this action can have under this policy, its floor joined in."""
    loaded = load_policy(policy_text(policy))
    found = [rule.requirement for rule in loaded.rules if rule.action == action.name]
    if action.floor is not None:
        found = [one.join(action.floor) for one in found] or [action.floor]
    return [one.settled(LATER_CODE) for one in found]


def fits(demand: Requirement, proof: Proof) -> bool:
    """Whether this is an answer to this demand; if not, it is refused for what it is."""
    why: Refused | None = None
    try:
        must_fit(demand, proof)
    except Refused as refusal:
        why = refusal
    assert why is None or why.reason in (Reason.PROOF_MISSING, Reason.PROOF_NOT_ACCEPTED)
    return why is None


@pytest.mark.bar("B20")
@pytest.mark.parametrize("policy", ["literal", "trader"])
@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_answer_fits_only_where_semantics_3_says_so(policy: str, name: str) -> None:
    action = ACTIONS[name]
    for demand in demands(policy, action):
        layer = demand.layer
        needed = frozenset(PART_OF[kind] for kind in layer.proofs)
        for size in range(len(SENT) + 1):
            for sent in itertools.combinations(SENT, size):
                proof = Proof(**{part: SENT[part] for part in sent})  # type: ignore[arg-type]
                by_sms = name in BY_SMS and frozenset(sent) == (needed - {"code"}) | {"sms_code"}
                accepted = frozenset(sent) == needed or by_sms
                assert fits(layer, proof) is accepted, (name, demand, sent)
                if accepted:
                    assert (standing_in(layer, proof) is Backup.SMS) is by_sms


@pytest.mark.bar("B20")
def test_the_rows_say_the_same_and_no_own_action_takes_a_backup() -> None:
    assert {name for name, action in ACTIONS.items() if action.backups} == BY_SMS
    assert not OWN_ACTIONS & BY_SMS


@pytest.mark.bar("B20")
@pytest.mark.parametrize("name", sorted(name for name, action in ACTIONS.items() if not action.legs))
def test_no_policy_can_let_sms_stand_in_elsewhere(name: str) -> None:
    text = policy_text() + f'\n[[rule]]\nname = "x"\naction = "{name}"\nrequire = ["totp"]\nbackup = ["sms"]\n'
    if name in BY_SMS:
        assert load_policy(text)
    else:
        with pytest.raises(PolicyError, match="takes no backup"):
            load_policy(text)


@pytest.mark.bar("B20")
@pytest.mark.parametrize("name", sorted(BY_SMS))
def test_one_strict_rule_rules_the_backup_out(name: str) -> None:
    """All rules that match are joined: whoever adds one without a backup has taken it away (I17)."""
    strict = Requirement.of(ProofKind.TOTP)
    for demand in demands("literal", ACTIONS[name]):
        assert Backup.SMS in demand.backups
        assert not demand.join(strict).backups
        assert not strict.join(demand).backups
        assert not strict.covers(demand) or not demand.covers(strict)
    assert Action(ACTIONS[name], {}).type.backups == {Backup.SMS}


@pytest.mark.bar("B20")
def test_sms_is_no_proof_that_a_policy_can_require() -> None:
    text = policy_text() + '\n[[rule]]\nname = "x"\naction = "futures.order.place"\nrequire = ["sms"]\n'
    with pytest.raises(PolicyError, match="require knows"):
        load_policy(text)
    weak = (
        policy_text()
        + '\n[[rule]]\nname = "x"\naction = "futures.order.place"\nrequire = ["password"]\nbackup = ["sms"]\n'
    )
    with pytest.raises(PolicyError, match="has to require totp"):
        load_policy(weak)
