"""The benchmark of P1 still runs, and says of peers that are not there that they are not there."""

from __future__ import annotations

import math

import pytest
from bench import policy
from bench.figures import printed


def test_it_measures_and_judges(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(policy, "PEER_PYTHON", tmp_path / "absent")
    found = policy.figures(policy.medians(rounds=1, seconds=0.0005))
    judged = [figure for figure in found if figure.reached is not None]
    absent = [figure for figure in found if math.isnan(figure.value)]
    assert len(judged) >= 6
    assert [figure.what.rsplit(" ", 1)[-1] for figure in absent] == ["cel", "kept", "cel", "cedar"]
    assert all(figure.reached is None for figure in absent)
    assert all(figure.value > 0 for figure in judged)
    text = printed(found)
    assert text.count("not judged") == 4
    assert text.count("not measured") == 4
