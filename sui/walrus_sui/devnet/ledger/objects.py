"""Objects: what the ledger holds, as frozen versions.

An `Object` is one version of one object. The transaction that writes it gives it the contents and the version; it is
sealed by its digest and never changes. Its BCS is Sui's own form, so that digests follow Sui's formula and one row of
the store holds all there is to know.

Source: ``sui-types`` modules object, base_types (``MoveObjectType``) and move_package.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.move.core import tags

FRAMEWORK: Final = tags.normalize_address("0x2")
CLOCK_ID: Final = tags.normalize_address("0x6")
SUI_TYPE: Final = f"{FRAMEWORK}::sui::SUI"
COIN_PREFIX: Final = f"{FRAMEWORK}::coin::Coin<"
GAS_COIN_TYPE: Final = f"{COIN_PREFIX}{SUI_TYPE}>"
PACKAGE_TYPE: Final = "package"

_DATA_MOVE, _DATA_PACKAGE = 0, 1
_TYPE_OTHER, _TYPE_GAS_COIN, _TYPE_COIN = 0, 1, 3


@dataclass(frozen=True, slots=True)
class AddressOwner:
    """Owned by an account: only its transactions may use the object."""

    address: SuiAddress


@dataclass(frozen=True, slots=True)
class ObjectOwner:
    """Owned by another object: a dynamic field, or the child of a dynamic object field."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class SharedOwner:
    """Shared: any transaction may use the object."""

    initial_version: int


@dataclass(frozen=True, slots=True)
class ImmutableOwner:
    """Never changes again; any transaction may read it. Packages are such."""


Owner = AddressOwner | ObjectOwner | SharedOwner | ImmutableOwner
IMMUTABLE: Final = ImmutableOwner()


def write_owner(owner: Owner) -> bytes:
    """BCS of an owner."""
    match owner:
        case AddressOwner(address):
            return b"\x00" + digests.write_address(address)
        case ObjectOwner(object_id):
            return b"\x01" + digests.write_address(object_id)
        case SharedOwner(initial_version):
            return b"\x02" + bcs.u64(initial_version)
        case ImmutableOwner():
            return b"\x03"


def read_owner(reader: bcs.Reader) -> Owner:
    """Reads an owner from BCS."""
    match reader.uleb():
        case 0:
            return AddressOwner(digests.read_address(reader))
        case 1:
            return ObjectOwner(digests.read_id(reader))
        case 2:
            return SharedOwner(reader.u64())
        case 3:
            return IMMUTABLE
        case variant:
            raise bcs.BcsError(f"owner of the unknown kind {variant}")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One version of an object, named by what a transaction must know of it."""

    object_id: ObjectId
    version: int
    digest: Digest

    def to_bcs(self) -> bytes:
        """BCS of the reference."""
        return digests.write_address(self.object_id) + bcs.u64(self.version) + digests.write(self.digest)

    @classmethod
    def read(cls, reader: bcs.Reader) -> "ObjectRef":
        """Reads a reference from BCS."""
        return cls(digests.read_id(reader), reader.u64(), digests.read(reader))


@dataclass(frozen=True)
class Object:
    """One version of an object.

    Attributes:
        object_id: canonical id.
        version: Lamport version of the transaction that wrote it.
        owner: who may use it.
        type: canonical type text, or ``package``.
        contents: BCS of the Move value, the id first; for a package the BCS of Sui's ``MovePackage``.
        previous_transaction: the transaction that wrote this version.
        storage_rebate: MIST kept for its storage; 99 % of it goes to whoever changes or deletes the object.
        has_public_transfer: whether the type has ``store``, so that anyone who owns it may send it on.
    """

    object_id: ObjectId
    version: int
    owner: Owner
    type: str
    contents: bytes
    previous_transaction: Digest
    storage_rebate: int
    has_public_transfer: bool = True

    @cached_property
    def digest(self) -> Digest:
        """Digest over the whole object."""
        return digests.of("Object", self._bcs)

    @cached_property
    def _bcs(self) -> bytes:
        tail = digests.write(self.previous_transaction) + bcs.u64(self.storage_rebate)
        return self._data_bcs() + write_owner(self.owner) + tail

    @property
    def ref(self) -> ObjectRef:
        """Id, version and digest."""
        return ObjectRef(self.object_id, self.version, self.digest)

    @property
    def is_package(self) -> bool:
        """Whether this is a published package."""
        return self.type == PACKAGE_TYPE

    @property
    def coin_type(self) -> str | None:
        """For a ``Coin<T>`` the type T, otherwise None."""
        return self.type[len(COIN_PREFIX) : -1] if self.type.startswith(COIN_PREFIX) else None

    @property
    def coin_balance(self) -> int | None:
        """For a ``Coin<T>`` its balance in the smallest unit, otherwise None."""
        return int.from_bytes(self.contents[32:40], "little") if self.type.startswith(COIN_PREFIX) else None

    def _data_bcs(self) -> bytes:
        if self.is_package:
            return bytes([_DATA_PACKAGE]) + self.contents
        head = bytes([_DATA_MOVE]) + _write_type(self.type) + bcs.boolean(self.has_public_transfer)
        return head + bcs.u64(self.version) + bcs.bytes_(self.contents)

    def to_bcs(self) -> bytes:
        """Sui's BCS of the object.

        The digest leaves it behind for the first who asks, which is the store: two copies of every object would be too
        much to keep.
        """
        found = self._bcs
        self.__dict__.pop("_bcs", None)
        return found

    def to_genesis_bcs(self) -> bytes:
        """BCS of Sui's ``GenesisObject``: the object without what its first transaction adds."""
        return b"\x00" + self._data_bcs() + write_owner(self.owner)

    @classmethod
    def from_bcs(cls, data: bytes) -> "Object":
        """Reads an object back from `to_bcs`.

        Raises:
            bcs.BcsError: not an object.
            tags.TypeTagError: its type is malformed.
        """
        reader = bcs.Reader(data)
        object_id, version, type_text, contents, public = _read_data(reader, data)
        owner, previous, rebate = read_owner(reader), digests.read(reader), reader.u64()
        reader.finish()
        return cls(object_id, version, owner, type_text, contents, previous, rebate, public)


def _read_data(reader: bcs.Reader, data: bytes) -> tuple[ObjectId, int, str, bytes, bool]:
    kind = reader.uleb()
    if kind == _DATA_PACKAGE:
        object_id, version, contents = _read_package(reader, data)
        return object_id, version, PACKAGE_TYPE, contents, True
    if kind != _DATA_MOVE:
        raise bcs.BcsError(f"object of the unknown kind {kind}")
    type_text, public, version = _read_type(reader), reader.boolean(), reader.u64()
    contents = reader.bytes_()
    if len(contents) < 32:
        raise bcs.BcsError("object without an id")
    return ObjectId("0x" + contents[:32].hex()), version, type_text, contents, public


def read_genesis_object(reader: bcs.Reader, data: bytes) -> bytes:
    """Reads over a ``GenesisObject`` and gives its bytes; `data` is all that the reader reads."""
    start = len(data) - reader.remaining
    if reader.uleb() != 0:
        raise bcs.BcsError("genesis object of an unknown kind")
    _read_data(reader, data)
    read_owner(reader)
    return data[start : len(data) - reader.remaining]


@lru_cache(maxsize=4096)
def _write_type(text: str) -> bytes:
    if text == GAS_COIN_TYPE:
        return bytes([_TYPE_GAS_COIN])
    tag = tags.parse(text)
    if text.startswith(COIN_PREFIX):
        return bytes([_TYPE_COIN]) + tags.to_bcs(tag.params[0])
    return bytes([_TYPE_OTHER]) + tags.struct_to_bcs(tag)


def type_size(text: str) -> int:
    """Bytes that the type takes in the object's BCS."""
    return len(_write_type(text))


def _read_type(reader: bcs.Reader) -> str:
    variant = reader.uleb()
    if variant == _TYPE_GAS_COIN:
        return GAS_COIN_TYPE
    if variant == _TYPE_COIN:
        return f"{COIN_PREFIX}{tags.read(reader)}>"
    if variant == _TYPE_OTHER:
        return str(tags.read_struct(reader))
    raise bcs.BcsError(f"object type of the unknown kind {variant}")


@dataclass(frozen=True, slots=True)
class TypeOrigin:
    """Which package first defined a struct."""

    module: str
    name: str
    package: ObjectId


@dataclass(frozen=True, slots=True)
class Linkage:
    """Which version of a dependency a package runs against."""

    original_id: ObjectId
    upgraded_id: ObjectId
    version: int


@dataclass(frozen=True, slots=True)
class Package:
    """Contents of a package object.

    Attributes:
        object_id: where calls to this version go.
        version: 1 for the first publication.
        modules: name of each module and its code; native modules have none, so it is empty.
        type_origins: the package that first defined each struct.
        linkage: dependencies.
    """

    object_id: ObjectId
    version: int
    modules: tuple[tuple[str, bytes], ...]
    type_origins: tuple[TypeOrigin, ...]
    linkage: tuple[Linkage, ...]

    def to_bcs(self) -> bytes:
        """BCS of Sui's ``MovePackage``."""
        return b"".join(
            (
                digests.write_address(self.object_id),
                bcs.u64(self.version),
                bcs.vector(lambda item: bcs.string(item[0]) + bcs.bytes_(item[1]), self.modules),
                bcs.vector(
                    lambda item: bcs.string(item.module) + bcs.string(item.name) + digests.write_address(item.package),
                    self.type_origins,
                ),
                bcs.vector(
                    lambda item: (
                        digests.write_address(item.original_id)
                        + digests.write_address(item.upgraded_id)
                        + bcs.u64(item.version)
                    ),
                    self.linkage,
                ),
            )
        )

    @classmethod
    def read(cls, reader: bcs.Reader) -> "Package":
        """Reads a package from BCS."""
        return cls(
            digests.read_id(reader),
            reader.u64(),
            tuple(reader.vector(lambda r: (r.string(), r.bytes_()))),
            tuple(reader.vector(lambda r: TypeOrigin(r.string(), r.string(), digests.read_id(r)))),
            tuple(reader.vector(lambda r: Linkage(digests.read_id(r), digests.read_id(r), r.u64()))),
        )

    @classmethod
    def from_bcs(cls, data: bytes) -> "Package":
        """Reads the contents of a package object."""
        reader = bcs.Reader(data)
        package = cls.read(reader)
        reader.finish()
        return package


def _read_package(reader: bcs.Reader, data: bytes) -> tuple[ObjectId, int, bytes]:
    before = reader.remaining
    package = Package.read(reader)
    start = len(data) - before
    return package.object_id, package.version, data[start : len(data) - reader.remaining]
