"""Every error that the codec raises, by cause.

All of them derive from `CodecError`, which is a `ValueError`: the codec is pure, so the only thing that can be wrong is
what it was given. A caller that talks to the outside catches the narrow class and answers with its own reason name.
"""

from collections.abc import Mapping


class CodecError(ValueError):
    """The data or the parameters given to the codec are wrong; the message says which and what would be right."""


class ParamsError(CodecError):
    """The code cannot be built with these parameters: choose another number of shards or another encoding."""


class BlobTooLarge(CodecError):  # noqa: N818 - read as a condition, like its siblings
    """The blob does not fit into symbols of 65,534 bytes: split it, or use a network with more shards."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"the blob has {length} bytes, but this network takes at most {limit}: split it")
        self.length = length
        self.limit = limit

    def __reduce__(self) -> tuple[type["BlobTooLarge"], tuple[int, int]]:
        return type(self), (self.length, self.limit)  # worker processes hand errors back pickled


class BcsError(CodecError):
    """The bytes are not the canonical BCS form of what was expected: refuse them, a retry gives the same."""


class BlobIdError(CodecError):
    """The text or number is not a blob id: 43 characters of unpadded URL-safe base64 that spell 32 bytes."""


class MetadataError(CodecError):
    """The metadata is malformed or belongs to another blob: ask another node for it."""


class UnsupportedEncoding(MetadataError):  # noqa: N818
    """The metadata names a code that nobody here knows, or that this network does not use."""


class SliverError(CodecError):
    """The sliver does not belong to this blob and pair: ask another node, and do not store it."""


class IndexOutOfRange(SliverError):  # noqa: N818
    """The pair or sliver index is not below the number of shards: the sender addresses another network."""


class SliverIndexMismatch(SliverError):  # noqa: N818
    """The sliver is of another pair than the one it was sent for: send it under its own pair index."""


class BadSlivers(SliverError):  # noqa: N818
    """Some slivers of a batch are bad; `faults` maps the position in the batch to what is wrong there."""

    def __init__(self, faults: Mapping[int, SliverError]) -> None:
        first = next(iter(faults.values()))
        super().__init__(f"{len(faults)} sliver(s) of the batch are bad, the first because {first}")
        self.faults = dict(faults)

    def __reduce__(self) -> tuple[type["BadSlivers"], tuple[Mapping[int, SliverError]]]:
        return type(self), (self.faults,)


class SymbolError(CodecError):
    """The recovery symbol is not a cell of a sliver that the metadata commits to: ask another node."""


class ProofError(CodecError):
    """The proof of inconsistency proves nothing: the blob stays valid."""


class DecodeError(CodecError):
    """The slivers are too few or do not fit together: collect more distinct ones of the same axis."""


class InconsistentBlob(CodecError):  # noqa: N818
    """The decoded bytes are not what the blob id commits to: its writer encoded it wrongly, it has no content."""
