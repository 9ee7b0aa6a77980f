"""Query parameters of the blob routes, exactly those of the official daemon. Pure.

A parameter that is unknown, given twice or malformed is refused with a sentence, never ignored: a misspelt
`permanant=true` must not give a deletable blob.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from walrus_client.gateway.envelope import GatewayError, GatewayReason
from walrus_client.read import ConsistencyCheck
from walrus_client.store import AfterStore, KeepObject, SendObject, ShareObject, StoreOptions
from walrus_codec.errors import CodecError
from walrus_codec.types import EncodingType, SuiAddress

T = TypeVar("T")

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,64}")
_QUILT_VERSIONS = frozenset({"v1", "V1", "1"})


def malformed(message: str) -> GatewayError:
    """The error of a request that cannot be understood."""
    return GatewayError(GatewayReason.MALFORMED_REQUEST, message)


@dataclass(frozen=True)
class _Parameters:
    """Parameters of one request, each taken at most once."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]], allowed: frozenset[str]) -> _Parameters:
        values: dict[str, str] = {}
        for name, value in pairs:
            if name not in allowed:
                raise malformed(f"unknown query parameter {name!r}; known are {', '.join(sorted(allowed))}")
            if name in values:
                raise malformed(f"query parameter {name!r} is given twice")
            values[name] = value
        return cls(values)

    def get(self, name: str, parse: Callable[[str], T], expected: str, default: T) -> T:
        if name not in self.values:
            return default
        try:
            return parse(self.values[name])
        except (ValueError, CodecError):
            raise malformed(f"query parameter {name}={self.values[name]!r} is not {expected}") from None

    def flag(self, name: str) -> bool:
        return self.get(name, _boolean, "true or false", default=False)


_STORE_NAMES = frozenset(
    {
        "encoding_type",
        "epochs",
        "deletable",
        "permanent",
        "force",
        "quilt_version",
        "reuse_resources",
        "send_object_to",
        "share",
    }
)
_READ_NAMES = frozenset({"strict_consistency_check", "skip_consistency_check"})
_SPAN_NAMES = frozenset({"start", "length"})
_COUNT = re.compile(r"[0-9]{1,19}")


def parse_store(
    pairs: Sequence[tuple[str, str]], *, default_encoding: EncodingType, max_epochs_ahead: int
) -> StoreOptions:
    """What a PUT asks for.

    Raises:
        GatewayError: MALFORMED_REQUEST, INVALID_BLOB_PERSISTENCE.
    """
    given = _Parameters.of(pairs, _STORE_NAMES)
    epochs = given.get("epochs", _u32, "a whole number of epochs", 1)
    if not 1 <= epochs <= max_epochs_ahead:
        raise malformed(f"epochs={epochs}, but this network sells storage for 1 to {max_epochs_ahead} epochs ahead")
    permanent, deletable = given.flag("permanent"), given.flag("deletable")
    if permanent and deletable:
        raise GatewayError(
            GatewayReason.INVALID_BLOB_PERSISTENCE,
            "the blob cannot be both deletable and permanent; give one of the two, or none for a deletable blob",
        )
    given.get("quilt_version", _quilt_version, "v1", "v1")
    return StoreOptions(
        epochs=epochs,
        deletable=not permanent,
        force=given.flag("force"),
        reuse_resources=given.flag("reuse_resources"),
        encoding=given.get("encoding_type", EncodingType.parse, "a known encoding", default_encoding),
        after=_after_store(given),
    )


def parse_read(pairs: Sequence[tuple[str, str]]) -> ConsistencyCheck:
    """How far a GET wants the blob checked; raises `GatewayError` MALFORMED_REQUEST."""
    given = _Parameters.of(pairs, _READ_NAMES)
    strict, skip = given.flag("strict_consistency_check"), given.flag("skip_consistency_check")
    if strict and skip:
        raise malformed("strict_consistency_check and skip_consistency_check exclude each other; give one of them")
    return ConsistencyCheck.STRICT if strict else ConsistencyCheck.SKIP if skip else ConsistencyCheck.DEFAULT


def parse_span(pairs: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """`start` and `length` of a `/byte-range`, both of which must be given; raises `GatewayError` MALFORMED_REQUEST."""
    given = _Parameters.of(pairs, _SPAN_NAMES)
    missing = sorted(_SPAN_NAMES - given.values.keys())
    if missing:
        raise malformed(f"query parameter {missing[0]!r} is missing; give start and length, in bytes")
    start, length = (given.get(name, _count, "a number of bytes below 2**63", 0) for name in ("start", "length"))
    return start, length


def parse_nothing(pairs: Sequence[tuple[str, str]]) -> None:
    """For routes without parameters; raises `GatewayError` MALFORMED_REQUEST."""
    if pairs:
        raise malformed(f"unknown query parameter {pairs[0][0]!r}; this route has none")


def _after_store(given: _Parameters) -> AfterStore:
    address: Any = given.get("send_object_to", _address, "a Sui address (0x and up to 64 hex digits)", None)
    share = given.flag("share")
    if address is not None and share:
        raise malformed("send_object_to and share exclude each other; give one of them")
    if share:
        return ShareObject()
    return KeepObject() if address is None else SendObject(address)


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text) or int(text) >= 1 << 63:
        raise ValueError(text)
    return int(text)


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _u32(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 0xFFFF_FFFF:
        raise ValueError(text)
    return int(text)


def _quilt_version(text: str) -> str:
    if text not in _QUILT_VERSIONS:
        raise ValueError(text)
    return text


def _address(text: str) -> SuiAddress:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(text)
    return SuiAddress("0x" + text[2:].lower().rjust(64, "0"))
