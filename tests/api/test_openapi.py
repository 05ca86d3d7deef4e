"""The OpenAPI document says what the table says, and a tester that is not ours finds nothing that contradicts it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api_deployment import Deployment
from leverlock.api.app import ENDPOINTS
from leverlock.api.desk_table import DESK
from leverlock.api.endpoint import Who, common_reasons
from leverlock.api.problems import PROBLEMS, type_of
from leverlock.domain.actions import ACTIONS, OWN_ACTIONS
from leverlock.domain.roles import Role
from operators import operator

# What schemathesis may count as taken although the data fit: a key used before, challenges that need a code each.
CONFIG = """
[generation]
codec = "ascii"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"{more}]

# What is an address or a key, and that moving funds needs a list of them, is beyond what a schema can say.
[[operations]]
include-path-regex = "^/v1/keys(/[^/]+)?$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422", "429"]
"""
EXAMPLES = 15
SECONDS = 220  # takes about 30 on two idle cores


@pytest.fixture(scope="module")
def document(deployment: Deployment) -> Any:
    return deployment.api.call("GET", "/openapi.json").json


def test_every_row_is_an_operation_with_its_caller_and_its_refusals(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(row.method, row.path) for row in ENDPOINTS} <= described
    schemes = {
        Who.ANYBODY: [],
        Who.HALF_SIGNED: ["session"],
        Who.RECOVERER: ["session"],
        Who.OWNER: ["session"],
        Who.ASKER: ["session", "integrator"],
        Who.OPERATOR: ["session"],
    }
    for row in ENDPOINTS:
        operation = document["paths"][row.path][row.method.lower()]
        assert [name for one in operation["security"] for name in one] == schemes[row.who]
        assert str(row.status) in operation["responses"]
        for reason in (*row.reasons, *common_reasons(row)):
            answer = operation["responses"][str(PROBLEMS[reason].status)]
            assert f"`{type_of(reason)}`" in answer["description"]
            assert "application/problem+json" in answer["content"]
        headers = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
        assert ("Idempotency-Key" in headers) == row.remembered


def test_every_reference_leads_somewhere_and_every_schema_is_used(document: Any) -> None:
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert referred == set(document["components"]["schemas"])


def test_every_public_action_has_its_form_and_the_accounts_own_have_none(document: Any) -> None:
    mapping = document["components"]["schemas"]["AuthorizeForm"]["properties"]["action"]["discriminator"]["mapping"]
    assert set(mapping) == set(ACTIONS) - OWN_ACTIONS
    for name in mapping:
        form = document["components"]["schemas"][mapping[name].rsplit("/", 1)[1]]
        assert form["additionalProperties"] is False
        declared = ACTIONS[name]
        if declared.legs is None:
            fields = document["components"]["schemas"][form["properties"]["fields"]["$ref"].rsplit("/", 1)[1]]
            assert set(fields["properties"]) == set(declared.fields)
            assert set(fields.get("required", ())) == {n for n, field in declared.fields.items() if field.required}


@pytest.mark.bar("B43")
@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("who", ["owner", "integrator", *Role])
def test_schemathesis_finds_nothing(deployment: Deployment, tmp_path: Path, who: str) -> None:
    token = _token(deployment, who)
    desk = ["--include-path-regex", "^/v1/operator"] if who in list(Role) else []
    # Signing out and "this was not me" end the very session that the tester works with.
    spared = ["delete_sessions_current", "post_challenges_id_denial"] if who == "owner" else []
    config = tmp_path / "schemathesis.toml"
    # That an integrator has to name the account, which a session may leave out, is beyond what a schema can say.
    config.write_text(CONFIG.format(more="" if who == "owner" else ', "400"'))
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
            "run", f"http://127.0.0.1:{deployment.api.port}/openapi.json",
            "--header", f"Authorization: Bearer {token}", "--seed", "1", "--max-examples", str(EXAMPLES),
            "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful",
            "--suppress-health-check", "all", "--warnings", "off", "--no-color", "--continue-on-failure",
            *(argument for one in spared for argument in ("--exclude-operation-id", one)), *desk,
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    public = 3  # besides the document itself
    everything = len(DESK) if desk else len(ENDPOINTS) + public - len(spared)
    assert int(tested[1]) == everything, done.stdout[-3000:]


def _token(deployment: Deployment, who: str) -> str:
    if who == "integrator":
        return deployment.integrator()
    return deployment.owner().token if who == "owner" else operator(deployment, Role(who)).token
