"""The venue's own error codes that the gateway's edge answers with, before any policy is asked.

Codes and wording follow the venue's public error table, so that an unmodified client raises the exception it
would raise at the venue itself. The texts avoid the phrases on which clients match before they read the code.
"""

from typing import Final


class BinanceError(Exception):
    """A refusal in the venue's dialect: HTTP `status`, negative `code`, `message`.

    The message may name a parameter of the request by its canonical name; it never repeats a value.
    """

    status: int = 400
    code: int = -1000

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message: Final = message


class BadSignature(BinanceError):
    code = -1022

    def __init__(self, message: str = "Signature for this request is not valid.") -> None:
        super().__init__(message)


class OutsideWindow(BinanceError):
    """`timestamp` is ahead of the venue's clock, or older than the receive window."""

    code = -1021


class WindowTooWide(BinanceError):
    code = -1131


class IllegalCharacters(BinanceError):
    """Bytes outside what a parameter may hold: control characters, bad escapes, broken UTF-8."""

    code = -1100


class DuplicateParameter(BinanceError):
    """One name twice in query, body or both (B66); also more parameters than any endpoint takes."""

    code = -1101


class MissingParameter(BinanceError):
    """A mandatory parameter was not sent, was empty, or is malformed."""

    code = -1102

    def __init__(self, name: str) -> None:
        super().__init__(f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


class UnreadParameter(BinanceError):
    """A name that no endpoint knows in this spelling: forwarding it unread would let it act unjudged."""

    code = -1104


class EmptyParameter(BinanceError):
    code = -1105

    def __init__(self, name: str) -> None:
        super().__init__(f"Parameter '{name}' was empty.")


class RejectedKey(BinanceError):
    """Unknown, revoked or foreign key: one answer for all of them (B62)."""

    status = 401
    code = -2015

    def __init__(self) -> None:
        super().__init__("Invalid API-key, IP, or permissions for action.")
