"""Maps and queues that live inside one value (modules vec_map, vec_set, priority_queue).

A ``VecMap`` is a Python dictionary, a ``VecSet`` a list. These functions add Move's checks to them.
"""

# ruff: noqa: D102 - write, read and to_json are described once, in MoveType

import heapq
from typing import Any, TypeVar

from walrus_codec import bcs
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import MoveAbort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import JSON, VALUE, MoveType, VecMap, Vector

K = TypeVar("K")
V = TypeVar("V")

VEC_MAP = Module(SUI, "vec_map")
VEC_SET = Module(SUI, "vec_set")
PRIORITY_QUEUE = Module(SUI, "priority_queue")

E_KEY_ALREADY_EXISTS = VEC_MAP.error(0, "EKeyAlreadyExists")
E_KEY_DOES_NOT_EXIST = VEC_MAP.error(1, "EKeyDoesNotExist")
E_MAP_NOT_EMPTY = VEC_MAP.error(2, "EMapNotEmpty")
E_MAP_EMPTY = VEC_MAP.error(4, "EMapEmpty")
E_UNEQUAL_LENGTHS = VEC_MAP.error(5, "EUnequalLengths")
E_POP_FROM_EMPTY_HEAP = PRIORITY_QUEUE.error(0, "EPopFromEmptyHeap")

VEC_MAP.generic("VecMap", 2, "copy, drop, store", VecMap)


class VecSet(MoveType):
    """``0x2::vec_set::VecSet<K>``: a list without repetitions, in the order of insertion."""

    def __init__(self, element: MoveType) -> None:
        super().__init__(tags.struct(SUI, "vec_set", "VecSet", element.tag), element.abilities & VALUE)
        self._contents = Vector(element)

    def write(self, value: Any, out: bytearray) -> None:
        self._contents.write(value, out)

    def read(self, reader: bcs.Reader) -> list[Any]:
        return self._contents.read(reader)

    def to_json(self, value: Any) -> JSON:
        return {"contents": self._contents.to_json(value)}


VEC_SET.generic("VecSet", 1, "copy, drop, store", VecSet)


def map_insert(entries: dict[K, V], key: K, value: V) -> None:
    """Adds an entry at the end; aborts if the key is there."""
    if key in entries:
        raise MoveAbort.of(E_KEY_ALREADY_EXISTS, function="insert")
    entries[key] = value


def map_remove(entries: dict[K, V], key: K) -> V:
    """Takes an entry out; aborts if it is not there."""
    if key not in entries:
        raise MoveAbort.of(E_KEY_DOES_NOT_EXIST, function="get_idx")
    return entries.pop(key)


def map_get(entries: dict[K, V], key: K) -> V:
    """Value of a key; aborts if it is not there."""
    if key not in entries:
        raise MoveAbort.of(E_KEY_DOES_NOT_EXIST, function="get_idx")
    return entries[key]


class MaxQueue:
    """Values with weights, largest value first (module priority_queue)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []

    def insert(self, priority: int, weight: int) -> None:
        """Adds a value."""
        heapq.heappush(self._heap, (-priority, weight))

    def pop_max(self) -> tuple[int, int]:
        """Largest value and its weight; aborts when empty."""
        require(bool(self._heap), E_POP_FROM_EMPTY_HEAP)
        negated, weight = heapq.heappop(self._heap)
        return -negated, weight


@VEC_MAP.public("<K: copy, V>(): VecMap<K, V>")
def empty(_rt: Runtime, _types: tuple[MoveType, ...]) -> dict[Any, Any]:
    """An empty map."""
    return {}


@VEC_MAP.public("<K: copy, V>(self: &mut VecMap<K, V>, key: K, value: V)")
def insert(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any], key: Any, value: Any) -> None:
    """Adds an entry; aborts if the key is there."""
    map_insert(self, key, value)


@VEC_MAP.public("<K: copy, V>(self: &mut VecMap<K, V>, key: &K): (K, V)")
def remove(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any], key: Any) -> tuple[Any, Any]:
    """Takes an entry out; aborts if it is not there."""
    return key, map_remove(self, key)


@VEC_MAP.public("<K: copy, V>(keys: vector<K>, values: vector<V>): VecMap<K, V>")
def from_keys_values(_rt: Runtime, _types: tuple[MoveType, ...], keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    """A map of keys and values; aborts on unequal lengths and on a key that comes twice."""
    require(len(keys) == len(values), E_UNEQUAL_LENGTHS)
    entries: dict[Any, Any] = {}
    for key, value in zip(keys, values, strict=True):
        map_insert(entries, key, value)
    return entries


@VEC_MAP.public("<K: copy, V>(self: &mut VecMap<K, V>): (K, V)")
def pop(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any]) -> tuple[Any, Any]:
    """Takes the last entry out; aborts if there is none."""
    require(bool(self), E_MAP_EMPTY)
    return self.popitem()


@VEC_MAP.public("<K: copy, V>(self: &VecMap<K, V>, key: &K): &V")
def get(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any], key: Any) -> Any:
    """Value of a key; aborts if it is not there."""
    require(key in self, E_KEY_DOES_NOT_EXIST)
    return self[key]


@VEC_MAP.public("<K: copy, V: copy>(self: &VecMap<K, V>, key: &K): Option<V>")
def try_get(_rt: Runtime, types: tuple[MoveType, ...], self: dict[Any, Any], key: Any) -> Any:
    """Value of a key, if it is there."""
    return types[1].copy(self[key]) if key in self else None


@VEC_MAP.public("<K: copy, V>(self: &VecMap<K, V>, key: &K): bool")
def contains(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any], key: Any) -> bool:
    """Whether a key is there."""
    return key in self


@VEC_MAP.public("<K: copy, V>(self: &VecMap<K, V>): u64")
def size(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any]) -> int:
    """Number of entries."""
    return len(self)


@VEC_MAP.public("<K: copy, V>(self: &VecMap<K, V>): bool")
def is_empty(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any]) -> bool:
    """Whether there is no entry."""
    return not self


@VEC_MAP.public("<K: copy, V>(self: VecMap<K, V>)")
def destroy_empty(_rt: Runtime, _types: tuple[MoveType, ...], self: dict[Any, Any]) -> None:
    """Ends a map without entries; aborts if there is one."""
    require(not self, E_MAP_NOT_EMPTY)
