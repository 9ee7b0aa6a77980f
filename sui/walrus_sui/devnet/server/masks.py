"""Read masks: which fields of an answer a caller wants.

Life of a mask: a request carries dotted paths (or ``*``, or none, which means the call's documented default);
`parse` checks them against the answer's descriptor and makes a `Mask`; renderers ask it what they may leave out, and
`prune` removes the rest from the finished message.

Rules as in sui-rpc-api: ``*`` stands alone; a path goes through message fields, also repeated ones, and ends anywhere;
below a map any key may follow; well-known types (timestamps, JSON values) have no inside. A wrong path is
INVALID_ARGUMENT ``invalid read_mask path: x``.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from walrus_sui.devnet.server import faults

PACKAGE: Final = "sui.rpc.v2"
MAX_PATHS: Final = 128
MAX_PATH_LENGTH: Final = 256
_M = TypeVar("_M", bound=Message)


class Mask:
    """A tree of selected field names; a node without children selects all below it."""

    __slots__ = ("_children",)

    def __init__(self, children: "Mapping[str, Mask] | None" = None) -> None:
        self._children = children

    @property
    def everything(self) -> bool:
        """Whether all fields are wanted."""
        return self._children is None

    def has(self, *names: str) -> bool:
        """Whether any of these fields is wanted, wholly or in part."""
        return self._children is None or any(name in self._children for name in names)

    def sub(self, name: str) -> "Mask":
        """What is wanted inside a field."""
        return self if self._children is None else self._children.get(name, NOTHING)

    def prune(self, message: _M) -> _M:
        """Removes from a message what is not wanted; returns the same message."""
        if self._children is None:
            return message
        for field, value in message.ListFields():
            child = self._children.get(field.name)
            if child is None:
                message.ClearField(field.name)
            elif child._children is not None:  # noqa: SLF001  (the same class)
                child._prune_inside(field, value)  # noqa: SLF001
        return message

    def _prune_inside(self, field: FieldDescriptor, value: object) -> None:
        if _is_map(field):
            for key in [key for key in value if str(key) not in (self._children or {})]:  # type: ignore[attr-defined]
                del value[key]  # type: ignore[attr-defined]
        elif field.is_repeated:
            for item in value:  # type: ignore[attr-defined]
                self.prune(item)
        elif isinstance(value, Message):
            self.prune(value)


EVERYTHING: Final = Mask()
NOTHING: Final = Mask({})


def parse(mask: FieldMask | None, answer: Descriptor, *, default: str) -> Mask:
    """Reads a request's mask.

    Args:
        mask: the request's field, None when it was not set.
        answer: descriptor of the message that the paths start from.
        default: comma-separated paths, ``*``, or nothing; used when the request has no mask.

    Raises:
        Fault: INVALID_ARGUMENT, a path does not exist or there are too many.
    """
    paths = tuple(filter(None, default.split(","))) if mask is None else tuple(mask.paths)
    if len(paths) > MAX_PATHS:
        raise faults.invalid("read_mask", f"read_mask has {len(paths)} paths, at most {MAX_PATHS} are allowed")
    for path in paths:
        if len(path) > MAX_PATH_LENGTH or not _is_valid(path, answer):
            raise faults.invalid("read_mask", f"invalid read_mask path: {path}")
    return _tree(paths)


def of(request: Message, answer: Descriptor, *, default: str) -> Mask:
    """Reads the field ``read_mask`` of a request. Arguments and errors as in `parse`."""
    mask = getattr(request, "read_mask") if request.HasField("read_mask") else None  # noqa: B009
    return parse(mask, answer, default=default)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@lru_cache(maxsize=4096)
def _is_valid(path: str, answer: Descriptor) -> bool:
    if path == "*":
        return True
    level: Descriptor | None = answer
    for name in path.split("."):
        if level is None:
            return False
        field = level.fields_by_name.get(name)
        if field is None:
            return False
        if _is_map(field):
            return True
        inside = field.message_type
        level = inside if inside is not None and inside.file.package == PACKAGE else None
    return True


@lru_cache(maxsize=256)
def _tree(paths: tuple[str, ...]) -> Mask:
    if "*" in paths:
        return EVERYTHING
    return _build(path.split(".") for path in paths)


def _build(paths: Iterable[list[str]]) -> Mask:
    below: dict[str, list[list[str]]] = {}
    whole: set[str] = set()
    for head, *rest in paths:
        below.setdefault(head, [])
        if rest:
            below[head].append(rest)
        else:
            whole.add(head)
    return Mask({name: EVERYTHING if name in whole else _build(rest) for name, rest in below.items()})
