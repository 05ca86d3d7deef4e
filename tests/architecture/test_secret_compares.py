"""Secrets meet only `compare_digest`, and every candidate is compared before anyone answers (B86).

An `==` leaves at the first byte that differs, so its time tells how much of a guess was right; a loop that
stops at the first match tells which candidate it was. The rule reads names, so it can be fooled by a bad
name; the timing test among the long ones measures the same thing.
"""

from __future__ import annotations

import ast
import re

import pytest

from .syntax import PRODUCT, ROOT, attribute_path, modules

# A name that holds one of these words holds a secret or something made from one.
SECRET_WORDS = frozenset({"secret", "password", "otp", "seed", "signature", "hmac", "mac", "token", "passcode"})
# In a module that verifies (it calls compare_digest or makes an HMAC) these do too.
VERIFIER_WORDS = frozenset({"code", "answer", "digits", "candidate", "expected", "given"})
# A name that ends so tells about a secret without being one.
HARMLESS_ENDS = frozenset(
    {"kind", "type", "id", "ids", "length", "len", "size", "count", "version", "step", "name", "algorithm"}
    | {"at", "ms", "state", "status", "scheme", "env", "environment", "required", "counter", "window"}
)
# What makes a secret's fingerprint, and the calls that only change its form.
MACS = frozenset({"hmac.new", "hmac.digest"})
FORMS = frozenset({"encode", "decode", "hex", "digest", "hexdigest"})

# Functions whose result is the secret itself.
CODES = frozenset({"hotp", "totp"})

# A compare that may stand although the rule names it -> why.
EXCEPTIONS: dict[str, str] = {
    "finding.checked_hash != account.password_hash": (
        "both sides are our own stored hash, read at two moments: nothing a caller sent is compared"
    ),
}


def secret(node: ast.expr, words: frozenset[str]) -> bool:
    """True when the expression's own name says that it holds a secret."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            pass
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            pass
        case ast.Call(func=function) if (path := attribute_path(function)) in MACS or path.split(".")[-1] in CODES:
            return True
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in FORMS:
            return secret(value, words)
        case _:
            return False
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_").split("_")
    return not name.isupper() and bool(words.intersection(parts)) and parts[-1] not in HARMLESS_ENDS


def harmless(node: ast.expr) -> bool:
    """A literal, a named constant or a member of an enum is public: comparing with it tells nothing."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return name.isupper() or owner[:1].isupper()
        case ast.Tuple(elts=items) | ast.Set(elts=items) | ast.List(elts=items):
            return all(map(harmless, items))
        case _:
            return False


def calls_compare(node: ast.AST) -> bool:
    return any(
        isinstance(inner, ast.Call) and attribute_path(inner.func).split(".")[-1] == "compare_digest"
        for inner in ast.walk(node)
    )


def plain_compares(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and text of each expression where a secret meets ==, != or `in`."""
    verifies = calls_compare(tree) or any(
        isinstance(node, ast.Call) and attribute_path(node.func) in MACS for node in ast.walk(tree)
    )
    words = SECRET_WORDS | VERIFIER_WORDS if verifies else SECRET_WORDS
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            plain = any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
            if plain and any(secret(side, words) for side in sides) and not any(map(harmless, sides)):
                lines.append((node.lineno, ast.unparse(node)))
    return lines


def early_exits(tree: ast.Module) -> list[int]:
    """Lines of loops (and of any/all/next) that stop comparing at the first match."""
    lines = []
    for node in ast.walk(tree):
        match node:
            case ast.For() | ast.While() | ast.AsyncFor():
                leaves = any(isinstance(inner, ast.Break | ast.Return) for inner in ast.walk(node))
                if leaves and calls_compare(node):
                    lines.append(node.lineno)
            case ast.Call(func=ast.Name(id="any" | "all" | "next"), args=[ast.GeneratorExp() as generator, *_]):
                if calls_compare(generator):
                    lines.append(node.lineno)
            case _:
                pass
    return lines


@pytest.mark.bar("B86")
def test_secrets_meet_only_compare_digest() -> None:
    found = {
        text: f"{path.relative_to(ROOT)}:{line}: {text}"
        for path, tree in modules(PRODUCT)
        for line, text in plain_compares(tree)
    }
    plain = [place for text, place in found.items() if text not in EXCEPTIONS]
    assert not plain, "\n".join(["compare with hmac.compare_digest:", *plain])
    assert EXCEPTIONS.keys() <= found.keys(), "an exception is listed that no compare needs"


@pytest.mark.bar("B86")
def test_every_candidate_is_compared_before_anyone_answers() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path, tree in modules(PRODUCT) for line in early_exits(tree)]
    assert not found, f"these loops stop at the first match: {found}"


def test_the_rules_see_what_they_are_for() -> None:
    bad = ast.parse(
        "if token == given: pass\n"
        "if row.api_secret != x: pass\n"
        "if hmac.new(k, m, 'sha1').hexdigest() == y: pass\n"
        "if signature in seen: pass\n"
        "if code == wanted: pass\n"
        "if row['totp_secret'] == z: pass\n"
        "hit = hotp(key, step).encode('ascii') == typed\n"
    )
    assert [line for line, _ in plain_compares(bad)] == [1, 2, 3, 4, 5, 6, 7]
    fine = ast.parse(
        "if token_kind == given: pass\nif secret == '': pass\nif otp is None: pass\nif code == 'x': pass\n"
        "if signature_scheme == Scheme.HMAC: pass\nif code == wanted: pass\n"
    )
    assert plain_compares(fine) == []
    exits = ast.parse(
        "for c in codes:\n    if hmac.compare_digest(a, c):\n        return c\n"
        "hit = any(compare_digest(a, c) for c in codes)\n"
        "for c in codes:\n    found |= compare_digest(a, c)\n"
    )
    assert early_exits(exits) == [1, 4]
