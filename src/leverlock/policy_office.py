"""How a server takes office: a clock and a history that can be trusted, and the policy to begin with, which is
the one on file unless it demands less than the one in force (semantics 9)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

import structlog

from leverlock.app.policies import PolicyUnreadable, adopt
from leverlock.checkpoints import CheckpointBroken, CheckpointMaker
from leverlock.config import SHIPPED_POLICIES
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy import Policy
from leverlock.domain.policy_file import PolicyError, load_policy
from leverlock.policy_holder import PolicyHolder
from leverlock.ports import Clock, Store, World
from leverlock.start_checks import settle

_log = structlog.get_logger("leverlock.server")

_WHY_NOT: Final = {
    Reason.CLOCK_BEHIND: "this machine's clock runs behind what the database has seen already; set it right first, "
    "or see `leverlock clock --help` where it was wrong before and is right now",
    Reason.STORE_UNAVAILABLE: "the database cannot be written; nothing could be made durable",
}


class StartRefused(Exception):
    """The program does not start like this. The message names what, where, and what to do about it."""


async def take_office(
    store: Store, world: World, holder: PolicyHolder, clock: Clock, checkpoints: CheckpointMaker
) -> None:
    """Put the loaded policy in force, or keep the one that is where this one demands less (semantics 9).

    It is the first write, so clock and disk are tried with it. Raises StartRefused.
    """
    loaded = holder()
    try:
        await settle(store, world, clock, checkpoints)
        adopted = await store.run(lambda tx: adopt(tx, world, policy=loaded, by="server:start"))
    except Refused as problem:
        raise StartRefused(_WHY_NOT.get(problem.reason, problem.detail)) from None
    except (PolicyUnreadable, CheckpointBroken) as problem:
        raise StartRefused(str(problem)) from None
    if adopted.replaced is not None:
        _log.warning("policy in force", policy=loaded.name, version=loaded.version, before=adopted.replaced)
    if adopted.kept is not None:
        holder.take(adopted.kept)
        waits = None if adopted.proposal is None else adopted.proposal.proposal_id
        _log.warning(
            "the policy on file demands less and is not in force: it needs two operators and a day",
            kept=adopted.kept.version,
            file=loaded.version,
            proposal=waits,
            demands_less=adopted.weaker,
        )
    for action in sorted(holder().unsafe_allow):
        _log.warning("left open on purpose (unsafe_allow)", action=action)


def read_policy(name: str) -> Policy:
    """A shipped policy by its word, or the policy in the file of that path. Raises StartRefused."""
    try:
        return load_policy(policy_source(name))
    except PolicyError as problem:
        raise StartRefused(f"the policy {name} was refused: {problem}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise StartRefused(f"the policy {name} cannot be read: {problem}") from None


def policy_source(name: str) -> str:
    """The text of a policy file. Raises OSError or UnicodeDecodeError."""
    if name in SHIPPED_POLICIES:
        return files("leverlock").joinpath("policies", f"{name}.toml").read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")
