"""Templates of a provider's parameters: `{number}` and the like, put in before anything is encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# `digits` is the number without its plus, `reference` our own id of the message, `receipt_url` where its receipt goes.
PLACEHOLDERS: Final = ("number", "digits", "text", "reference", "receipt_url", "secret")
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """The template, nested ones too, with its placeholders put in. In one pass: a brace in a text is none."""
    if isinstance(template, Mapping):
        return {name: filled(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template) if isinstance(template, str) else template


def unknown_placeholders(template: Any) -> set[str]:
    """Words in braces that nothing is put in for."""
    if isinstance(template, Mapping):
        return set().union(*map(unknown_placeholders, template.values()))
    if isinstance(template, list):
        return set().union(*map(unknown_placeholders, template))
    return set(_PLACEHOLDER.findall(template)) - {*PLACEHOLDERS} if isinstance(template, str) else set()
