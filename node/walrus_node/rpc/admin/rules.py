"""Which tokens a file holds, whether a caller has one of them, and what requests may say; pure.

A file has one token a line, each of at least 32 printable characters without spaces, at most four of them: while tokens
are exchanged, the old and the new one both stand in it, and both are good. Anything else in the file makes all of it
void: a file that is half right must not be half trusted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from walrus_client.reasons import Reason, RequestRefused

SHORTEST_TOKEN: Final = 32
LONGEST_TOKEN: Final = 512
MOST_TOKENS: Final = 4
MOST_BYTES: Final = MOST_TOKENS * (LONGEST_TOKEN + 2)
"""Of a whole file."""

LONGEST_WHY: Final = 500
MOST_FAULT_LINES: Final = 100
LONGEST_FAULT_LINE: Final = 200

_SCHEME: Final = b"bearer "


class TokensError(ValueError):
    """The file holds no tokens; the message says why, and never what stands in it."""


def digests(content: bytes) -> tuple[bytes, ...]:
    """Hashes of the tokens in a file.

    Raises:
        TokensError: there is none, or something that is no token.
    """
    if len(content) > MOST_BYTES:
        raise TokensError(f"it has more than {MOST_BYTES} bytes")
    lines = [line.strip() for line in content.split(b"\n") if line.strip()]
    if not lines:
        raise TokensError("it is empty")
    if len(lines) > MOST_TOKENS:
        raise TokensError(f"it has {len(lines)} tokens, at most {MOST_TOKENS} are good at a time")
    for number, line in enumerate(lines, 1):
        if not SHORTEST_TOKEN <= len(line) <= LONGEST_TOKEN:
            raise TokensError(
                f"token {number} has {len(line)} characters, {SHORTEST_TOKEN} to {LONGEST_TOKEN} are needed"
            )
        if any(not 0x21 <= byte <= 0x7E for byte in line):
            raise TokensError(f"token {number} has a character that is no printable one of ASCII, or a space")
    return tuple(_digest(line) for line in lines)


def token_in(header: bytes | str | None) -> bytes | None:
    """The token of an `authorization` header; None when there is none."""
    if header is None:
        return None
    value = header.encode("utf-8", "surrogateescape") if isinstance(header, str) else header
    return value[len(_SCHEME) :].strip() if value[: len(_SCHEME)].lower() == _SCHEME else None


def is_known(token: bytes, known: Sequence[bytes]) -> bool:
    """Whether a token is one of those; takes the same time whichever it is, and whatever of it is right."""
    given, found = _digest(token), False
    for digest in known:
        found |= hmac.compare_digest(given, digest)
    return found


def checked_why(text: str) -> str:
    """Why a node is fenced, as it may be remembered; raises `RequestRefused`."""
    why = text.strip()
    if not why:
        raise _malformed("say why the node is fenced: others will want to know")
    if len(why) > LONGEST_WHY or not why.isprintable():
        raise _malformed(f"the reason has at most {LONGEST_WHY} characters, in one line")
    return why


def checked_seconds(name: str, given: float | None, *, default: float, least: float, most: float) -> float:
    """A time of a request; raises `RequestRefused` when it is not within the bounds."""
    seconds = default if given is None else given
    if not least <= seconds <= most:
        raise _malformed(f"{name} is {least:g} to {most:g} seconds, not {seconds:g}")
    return seconds


def checked_lines(lines: Sequence[str], understood: Sequence[bool]) -> str:
    """The file that lines of faults make; raises `RequestRefused`.

    Args:
        lines: as they came.
        understood: for each, whether it says something.
    """
    if len(lines) > MOST_FAULT_LINES or any(len(line) > LONGEST_FAULT_LINE for line in lines):
        raise _malformed(f"at most {MOST_FAULT_LINES} lines of {LONGEST_FAULT_LINE} characters each are taken")
    for line, clear in zip(lines, understood, strict=True):
        if not clear or "\n" in line or "\r" in line:
            raise _malformed(f"{line!r} is no fault that this node knows")
    return "".join(f"{line}\n" for line in lines)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _malformed(message: str) -> RequestRefused:
    return RequestRefused(Reason.MALFORMED_REQUEST, message)
