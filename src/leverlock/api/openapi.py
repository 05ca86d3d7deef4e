"""The OpenAPI 3.1 document, read off the route table.

Schemas come from the very structs that validate and answer, so the document cannot promise what the code does not do.
Each refusal of a row is listed under its status by its problem type.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

import msgspec

import leverlock
from leverlock.api.endpoint import Endpoint, Who, common_reasons
from leverlock.api.problems import MEDIA_TYPE, PROBLEMS, Edge, type_of
from leverlock.domain.actions import PUBLIC_ACTIONS
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason

_REF: Final = "#/components/schemas/{name}"
_SECURITY: Final[dict[Who, list[dict[str, list[str]]]]] = {
    Who.ANYBODY: [],
    Who.HALF_SIGNED: [{"session": []}],
    Who.RECOVERER: [{"session": []}],
    Who.OWNER: [{"session": []}],
    Who.OPERATOR: [{"session": []}],
    Who.ASKER: [{"session": []}, {"integrator": []}],
}
_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "environment": {"type": "string", "enum": [environment.value for environment in Environment]},
    "subject": {"type": "string", "pattern": "^(acc_[a-z2-7]{26}|system)$"},
    "provider": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$"},
    "account": {"type": "string", "pattern": "^acc_[a-z2-7]{26}$"},
    "message": {"type": "string", "pattern": "^msg_[a-z2-7]{26}$"},
    "token": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "name": {"type": "string", "enum": [type_of(reason).rsplit("/", 1)[1] for reason in PROBLEMS]},
}
_ID_PREFIXES: Final = {
    "addresses": "adr",
    "challenges": "ch",
    "sms": "au",
    "authenticators": "au",
    "keys": "key",
    "changes": "chg",
    "security-keys": "sk",
    "recovery-cases": "case",
    "cases": "case",
    "documents": "doc",
    "accounts": "acc",
    "proposals": "prop",
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same call under the same key is done once. Kept for 24 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}


def document(endpoints: Sequence[Endpoint], *, problem: type[msgspec.Struct]) -> dict[str, Any]:
    """The whole document."""
    forms = [form for row in endpoints for form in (row.body, row.answer, row.query) if form is not None]
    schemas, components = msgspec.json.schema_components([*forms, problem], ref_template=_REF)
    refs: dict[Any, dict[str, Any]] = dict(zip([*forms, problem], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in endpoints:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, refs, components, refs[problem])
    for form in {row.query for row in endpoints}:
        components.pop(form.__name__)  # spelled out as parameters
    for component in components.values():
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leverlock",
            "version": leverlock.__version__,
            "summary": "Two-factor authentication for futures trading, at the moment that matters.",
            "description": (
                "Times are server milliseconds since 1970. Amounts and prices are decimal numbers as text. Errors are "
                "RFC 9457 documents; a refusal that asks for a proof is 401 with the header of RFC 9470 and the "
                "challenge in the body: once the owner has answered it, repeat the very same call.\n\n"
                f"Actions: {', '.join(PUBLIC_ACTIONS)}."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer", "description": "The token of POST /v1/sessions."},
                "integrator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of a venue's back end, made by an operator's command.",
                },
            },
        },
    }


def _operation(
    row: Endpoint, refs: dict[Any, dict[str, Any]], components: dict[str, Any], problem: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(row),
        "summary": row.summary,
        "description": f"Caller: {row.who}." + (f" Permission: {row.permission}." if row.permission else ""),
        "security": _SECURITY[row.who],
        "parameters": [*_path_parameters(row), *_query_parameters(row, refs, components)],
        "responses": {str(row.status): _success(row, refs), **_refusals(row, problem)},
    }
    if row.remembered:
        operation["parameters"].append(_IDEMPOTENCY)
    if row.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": refs[row.body]}}}
    if row.takes:
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(row.takes, _BINARY)}
    return operation


def _operation_id(row: Endpoint) -> str:
    named = [segment.strip("{}").replace("-", "_").replace(".", "_") for segment in row.segments if segment != "v1"]
    return "_".join([row.method.lower(), *named])


def _path_parameters(row: Endpoint) -> list[dict[str, Any]]:
    found = []
    for before, segment in zip(row.segments, row.segments[1:], strict=False):
        if segment.startswith("{"):
            name = segment[1:-1]
            schema = _PARAMETERS.get(name) or {
                "type": "string",
                "pattern": f"^{_ID_PREFIXES[before]}_[a-z2-7]{{26}}$",
            }
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _query_parameters(
    row: Endpoint, refs: dict[Any, dict[str, Any]], components: dict[str, Any]
) -> list[dict[str, Any]]:
    schema = components[refs[row.query]["$ref"].rsplit("/", 1)[1]]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": shape}
        for name, shape in schema.get("properties", {}).items()
    ]


def _success(row: Endpoint, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described = "Done." if row.answer is None else (row.answer.__doc__ or row.summary).strip().split("\n")[0]
    if row.secret:
        described += " Holds a secret: shown once."
    answer: dict[str, Any] = {"description": described, "headers": {"Correlation-Id": _CORRELATION}}
    if row.gives:
        answer["content"] = dict.fromkeys(row.gives, _BINARY)
    if row.answer is not None:
        answer["content"] = {"application/json": {"schema": refs[row.answer]}}
    return answer


_CORRELATION: Final = {"schema": {"type": "string"}, "description": "What to name when asking the operator."}


def _refusals(row: Endpoint, problem: dict[str, Any]) -> dict[str, Any]:
    by_status: dict[int, list[Reason | Edge]] = {}
    for reason in dict.fromkeys((*row.reasons, *common_reasons(row))):
        by_status.setdefault(PROBLEMS[reason].status, []).append(reason)
    answers = {}
    for status, reasons in sorted(by_status.items()):
        meanings = "\n".join(f"- `{type_of(reason)}`: {PROBLEMS[reason].title}." for reason in reasons)
        answer: dict[str, Any] = {
            "description": meanings,
            "content": {MEDIA_TYPE: {"schema": problem}},
            "headers": {"Correlation-Id": _CORRELATION},
        }
        if status == 401:
            answer["headers"]["WWW-Authenticate"] = {"schema": {"type": "string"}, "required": True}
        if status == 429:
            answer["headers"]["Retry-After"] = {"schema": {"type": "string"}}
        answers[str(status)] = answer
    return answers
