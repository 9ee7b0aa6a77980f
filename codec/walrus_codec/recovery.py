"""Recovery symbols: single cells of the matrix, from which a node rebuilds slivers that it lost or never got.

    target             from                               symbols    proof
    primary sliver i   cell (i, j) of secondary sliver j  any k2     against the hash of column j, leaf i
    secondary sliver j cell (i, j) of primary sliver i    any k1     against the hash of row i, leaf j

A holder expands its sliver and hands out single symbols with their Merkle proofs (`make_symbols`). The asker checks each
one (`verify_symbol`) and rebuilds the target from exactly as many as the code needs (`recover`). So a sliver costs about
its own size in traffic, where decoding the blob would cost the whole blob.

When the rebuilt sliver is not the one that the metadata commits to, although every symbol is proved, the writer has
encoded wrongly. These very symbols are the proof (`InconsistencyProof`), which everybody who holds the metadata can check.

BCS, as the official code writes it (walrus-core, encoding/symbols.rs, inconsistency.rs):

    Symbol              source index u16, data vector<u8>
    Proof               vector of nodes, bottom up: 00 for the empty node, or 01 and 32 bytes
    RecoverySymbol      00 primary | 01 secondary target, Symbol, target index u16, Proof
    InconsistencyProof  target index u16, vector of (Symbol, Proof)        the axis is told by whoever carries it
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from walrus_codec import bcs, merkle
from walrus_codec.backend import backend_for
from walrus_codec.errors import BcsError, DecodeError, ProofError, SliverError, SymbolError
from walrus_codec.metadata import BlobMetadata, check_same_code
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, Buffer, SliverIndex

_DIGEST_SIZE = 1 + merkle.NODE_SIZE
_LONGEST_PATH = 16
"""Nodes of a path over 65,535 leaves, the most that indices can name."""

_AXES = (Axis.PRIMARY, Axis.SECONDARY)
"""In the order of the BCS variants."""


@dataclass(frozen=True, slots=True)
class RecoverySymbol:
    """One cell of the matrix, as a part of the sliver that it helps to recover.

    Attributes:
        axis: of the target.
        target: row or column that is to be recovered.
        source: index of the orthogonal sliver that it was taken from: its position in the target's codeword.
        data: the symbol.
        proof: siblings bottom up, 32 bytes each, against the hash of the orthogonal sliver.
    """

    axis: Axis
    target: SliverIndex
    source: SliverIndex
    data: bytes | memoryview = field(repr=False)
    proof: bytes = field(repr=False)

    def to_bcs(self) -> bytes:
        """The form in which nodes exchange it (GeneralRecoverySymbol of the official code)."""
        head = bcs.uleb(_AXES.index(self.axis))
        return b"".join((head, _symbol(self), bcs.u16(self.target), _path(self.proof)))

    @classmethod
    def from_bcs(cls, data: Buffer) -> "RecoverySymbol":
        """Reads the form of `to_bcs`; nothing is verified.

        Raises:
            SymbolError: the bytes are not a recovery symbol.
        """
        try:
            reader = bcs.Reader(data)
            if (variant := reader.uleb()) >= len(_AXES):
                raise SymbolError(f"malformed recovery symbol: axis {variant} does not exist")
            source, body = _read_symbol(reader)
            target = SliverIndex(reader.u16())
            proof = _read_path(reader)
            reader.finish()
        except BcsError as error:
            raise SymbolError(f"malformed recovery symbol: {error}") from error
        return cls(_AXES[variant], target, source, body, proof)


@dataclass(frozen=True, slots=True)
class InconsistencyProof:
    """Proved symbols of one sliver that give another sliver than the metadata commits to."""

    axis: Axis
    target: SliverIndex
    symbols: tuple[RecoverySymbol, ...] = field(repr=False)

    def to_bcs(self) -> bytes:
        """The form in which nodes exchange it (InconsistencyProof of the official code)."""
        return bcs.u16(self.target) + bcs.vector(lambda item: _symbol(item) + _path(item.proof), self.symbols)

    @classmethod
    def from_bcs(cls, axis: Axis, data: Buffer) -> "InconsistencyProof":
        """Reads the form of `to_bcs`; nothing is verified.

        Raises:
            ProofError: the bytes are not such a proof.
        """

        def read(reader: bcs.Reader) -> RecoverySymbol:
            source, body = _read_symbol(reader)
            return RecoverySymbol(axis, target, source, body, _read_path(reader))

        try:
            reader = bcs.Reader(data)
            target = SliverIndex(reader.u16())
            symbols = tuple(reader.vector(read))
            reader.finish()
        except (BcsError, SymbolError) as error:
            raise ProofError(f"malformed proof of inconsistency: {error}") from error
        return cls(axis, target, symbols)


def make_symbols(
    source: Sliver, targets: Sequence[SliverIndex], metadata: BlobMetadata, params: CodeParams
) -> list[RecoverySymbol]:
    """Takes symbols with their proofs from a sliver that was verified when it was stored.

    Args:
        source: the sliver.
        targets: indices of slivers of the other axis, below n.
        metadata: verified metadata of the blob.
        params: its code.

    Raises:
        SliverError: the sliver is not (any more) the one that the metadata commits to; nothing can be proved from it.
    """
    check_same_code(metadata, params)
    symbol_size = params.symbol_size(metadata.unencoded_length)
    form = (source.symbol_size, len(source.data))
    if form != (symbol_size, params.source_symbols(source.axis) * symbol_size) or source.index >= params.n_shards:
        raise SliverError(f"{source.axis.value} sliver {source.index} has not the form that slivers of this blob have")
    expansion = backend_for(params).expand(source.axis, source.data, source.symbol_size, targets)
    tree = merkle.levels(expansion.leaves)
    if tree[-1] != metadata.sliver_hash(source.axis, source.index):
        raise SliverError(f"{source.axis.value} sliver {source.index} is not the one that the metadata commits to")
    return [
        RecoverySymbol(source.axis.orthogonal, target, source.index, data, merkle.path(tree, target))
        for target, data in zip(targets, expansion.symbols, strict=True)
    ]


def verify_symbol(symbol: RecoverySymbol, metadata: BlobMetadata, params: CodeParams) -> None:
    """Checks a symbol from an untrusted source against verified metadata.

    Raises:
        SymbolError: an index out of range, a wrong size, or a proof that does not hold.
    """
    _check_form(symbol, metadata, params)
    root = merkle.root_of_path(symbol.data, symbol.target, symbol.proof)
    if root != metadata.sliver_hash(symbol.axis.orthogonal, symbol.source):
        raise _not_committed(symbol)


def verify_symbols(symbols: Iterable[RecoverySymbol], metadata: BlobMetadata, params: CodeParams) -> None:
    """Checks many symbols; those from one source share most of their paths, which are hashed once.

    Raises:
        SymbolError: as `verify_symbol`, for one of them.
    """
    paths: defaultdict[tuple[Axis, SliverIndex], merkle.KnownPaths] = defaultdict(merkle.KnownPaths)
    for symbol in symbols:
        _check_form(symbol, metadata, params)
        root = metadata.sliver_hash(symbol.axis.orthogonal, symbol.source)
        if not paths[symbol.axis, symbol.source].leads_to(root, symbol.data, symbol.target, symbol.proof):
            raise _not_committed(symbol)


def _check_form(symbol: RecoverySymbol, metadata: BlobMetadata, params: CodeParams) -> None:
    """Raises `SymbolError` for whatever is wrong with a symbol without a look at hashes."""
    n = params.n_shards
    if not (0 <= symbol.source < n and 0 <= symbol.target < n):
        raise SymbolError(f"recovery symbol {symbol.source} of sliver {symbol.target}: there are {n} of each")
    if len(symbol.data) != (size := params.symbol_size(metadata.unencoded_length)):
        raise SymbolError(f"a recovery symbol of {len(symbol.data)} bytes, but this blob has symbols of {size}")
    if len(symbol.proof) > merkle.height(n) * merkle.NODE_SIZE:
        raise SymbolError(f"a proof of {len(symbol.proof)} bytes is longer than any over {n} symbols")


def _not_committed(symbol: RecoverySymbol) -> SymbolError:
    return SymbolError(
        f"recovery symbol {symbol.source} of {symbol.axis.value} sliver {symbol.target} is not the one that the "
        f"metadata commits to"
    )


def recover(
    symbols: Iterable[RecoverySymbol], metadata: BlobMetadata, params: CodeParams
) -> list[Sliver | InconsistencyProof]:
    """Rebuilds slivers from verified symbols, exactly as many for each as the code needs.

    Slivers whose symbols come from the same sources are rebuilt together, which is faster.

    Returns:
        For each target in ascending order the sliver, or the proof that the blob is badly encoded.

    Raises:
        DecodeError: too many, too few or equal symbols for a target, or two axes.
    """
    check_same_code(metadata, params)
    by_target: defaultdict[tuple[Axis, SliverIndex], dict[SliverIndex, RecoverySymbol]] = defaultdict(dict)
    for symbol in symbols:
        if symbol.source in (known := by_target[symbol.axis, symbol.target]):
            raise DecodeError(f"symbol {symbol.source} of sliver {symbol.target} was given twice")
        known[symbol.source] = symbol
    if len({axis for axis, _target in by_target}) > 1:
        raise DecodeError("the symbols are of slivers of both axes")
    groups: defaultdict[tuple[SliverIndex, ...], list[dict[SliverIndex, RecoverySymbol]]] = defaultdict(list)
    for (axis, target), found in sorted(by_target.items(), key=lambda item: item[0][1]):
        if len(found) != (needed := params.source_symbols(axis)):
            raise DecodeError(f"{len(found)} symbols of {axis.value} sliver {target}, but exactly {needed} are needed")
        groups[tuple(sorted(found))].append(found)
    results: dict[SliverIndex, Sliver | InconsistencyProof] = {}
    for sources, members in groups.items():
        results |= _recover(sources, members, metadata, params)
    return [results[target] for target in sorted(results)]


def verify_inconsistency(proof: InconsistencyProof, metadata: BlobMetadata, params: CodeParams) -> None:
    """Returns when the proof shows that the blob with this verified metadata is badly encoded.

    Raises:
        ProofError: a wrong number of symbols, a symbol that is not proved, symbols that do not decode, or symbols that
            give just the sliver that the metadata commits to.
    """
    needed = params.source_symbols(proof.axis)
    if len(proof.symbols) != needed:
        raise ProofError(f"a proof over {len(proof.symbols)} symbols, but exactly {needed} decode")
    try:
        for symbol in proof.symbols:
            verify_symbol(symbol, metadata, params)
        (found,) = recover(proof.symbols, metadata, params)
    except (SymbolError, DecodeError) as error:
        raise ProofError(f"the proof does not hold: {error}") from error
    if isinstance(found, Sliver):
        raise ProofError(f"{proof.axis.value} sliver {proof.target} is what the metadata commits to")


def _recover(
    sources: Sequence[SliverIndex],
    members: Sequence[dict[SliverIndex, RecoverySymbol]],
    metadata: BlobMetadata,
    params: CodeParams,
) -> dict[SliverIndex, Sliver | InconsistencyProof]:
    """Rebuilds slivers whose symbols come from the same sources."""
    axis = members[0][sources[0]].axis
    targets = [found[sources[0]].target for found in members]
    symbol_size = params.symbol_size(metadata.unencoded_length)
    backend = backend_for(params)
    columns = {int(source): [found[source].data for found in members] for source in sources}
    bodies = backend.rebuild(axis, columns, symbol_size)
    foreign = set(backend.find_foreign(axis, list(zip(targets, bodies, strict=True)), metadata))
    return {
        target: InconsistencyProof(axis, target, tuple(members[position].values()))
        if position in foreign
        else Sliver(axis, target, symbol_size, body)
        for position, (target, body) in enumerate(zip(targets, bodies, strict=True))
    }


def _symbol(symbol: RecoverySymbol) -> bytes:
    return bcs.u16(symbol.source) + bcs.bytes_(symbol.data)


def _read_symbol(reader: bcs.Reader) -> tuple[SliverIndex, memoryview]:
    return SliverIndex(reader.u16()), reader.bytes_view().toreadonly()


def _path(proof: bytes) -> bytes:
    nodes = [proof[at : at + merkle.NODE_SIZE] for at in range(0, len(proof), merkle.NODE_SIZE)]
    return bcs.vector(lambda node: b"\x00" if node == merkle.EMPTY else b"\x01" + node, nodes)


def _read_path(reader: bcs.Reader) -> bytes:
    def read(reader: bcs.Reader) -> bytes:
        if (variant := reader.uleb()) == 0:
            return merkle.EMPTY
        if variant != 1:
            raise SymbolError(f"malformed Merkle proof: node variant {variant} does not exist")
        node = reader.fixed(merkle.NODE_SIZE)
        if node == merkle.EMPTY:
            # Official nodes tell it apart from the empty node, but it hashes alike: one form per proof is enough.
            raise SymbolError("malformed Merkle proof: an empty node in the form of a digest")
        return node

    # Nearly all paths have digests only: then they are cut out in one go.
    form = reader.peek(1)
    count = form[0] if form else 0
    if 0 < count <= _LONGEST_PATH:
        nodes = bytes(reader.peek(1 + count * _DIGEST_SIZE))[1:]
        if len(nodes) == count * _DIGEST_SIZE and nodes[::_DIGEST_SIZE] == b"\x01" * count:
            digests = [nodes[at + 1 : at + _DIGEST_SIZE] for at in range(0, len(nodes), _DIGEST_SIZE)]
            if merkle.EMPTY not in digests:
                reader.fixed(1 + len(nodes))
                return b"".join(digests)
    return b"".join(reader.vector(read))
