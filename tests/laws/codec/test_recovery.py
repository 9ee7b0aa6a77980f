"""Laws of recovery: any symbols that suffice give the lost sliver, changed ones are found, and bad encodings are proved.

The slow twin gives whole matrices, also ones that no honest writer makes: then its cells are what each holder has.
"""

import contextlib
import dataclasses
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.codec import dumb
from tests.laws.codec.strategies import FEW, LAW, axes, blobs, params, slivers, twin_of
from tests.laws.codec.test_corruption import flip

from walrus_codec import merkle, recovery, redstuff
from walrus_codec.errors import CodecError, DecodeError, ProofError, SliverError, SymbolError
from walrus_codec.metadata import BlobMetadata, SliverPairHashes
from walrus_codec.params import CodeParams
from walrus_codec.recovery import InconsistencyProof, RecoverySymbol
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, SliverIndex

rngs = st.randoms(use_true_random=False)


def symbols_of(
    encoded: redstuff.EncodedBlob, axis: Axis, targets: Sequence[int], sources: Sequence[int], code: CodeParams
) -> list[RecoverySymbol]:
    """What the holders of the orthogonal slivers `sources` give for the targets."""
    held = slivers(encoded, axis.orthogonal)
    wanted = [SliverIndex(target) for target in targets]
    return [
        symbol for source in sources for symbol in recovery.make_symbols(held[source], wanted, encoded.metadata, code)
    ]


@LAW
@given(params, axes, blobs(), rngs)
def test_any_symbols_that_suffice_give_the_sliver_back(
    code: CodeParams, axis: Axis, data: bytes, rng: random.Random
) -> None:
    encoded = redstuff.encode(data, code)
    n = code.n_shards
    targets = sorted(rng.sample(range(n), rng.randint(1, 3)))
    found = []
    for target in targets:  # each from sources of its own, or all from the same
        sources = rng.sample(range(n), code.source_symbols(axis))
        found += symbols_of(encoded, axis, [target], sources, code)
    shared = symbols_of(encoded, axis, targets, sources, code)
    rng.shuffle(found)
    for each in (found, shared):
        for symbol in each:
            recovery.verify_symbol(symbol, encoded.metadata, code)
            assert RecoverySymbol.from_bcs(symbol.to_bcs()) == symbol
        assert recovery.recover(each, encoded.metadata, code) == [slivers(encoded, axis)[at] for at in targets]


@FEW
@given(params, blobs(max_size=400), st.data())
def test_symbols_are_the_cells_of_the_twins_matrix(code: CodeParams, data: bytes, draw: st.DataObject) -> None:
    encoded, n = redstuff.encode(data, code), code.n_shards
    twin = twin_of(code.encoding)
    matrix = expanded([bytes(sliver.data) for sliver in slivers(encoded, Axis.PRIMARY)], code, twin)
    row, column = draw.draw(st.integers(0, n - 1)), draw.draw(st.integers(0, n - 1))
    (of_row,) = symbols_of(encoded, Axis.SECONDARY, [column], [row], code)
    (of_column,) = symbols_of(encoded, Axis.PRIMARY, [row], [column], code)
    assert of_row.data == of_column.data == matrix[row][column]


@FEW
@given(params, axes, blobs(), st.data())
def test_many_symbols_are_verified_together_exactly_when_each_is(
    code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject
) -> None:
    """Paths that were followed before stand in for later ones only where they are the same to the root."""
    encoded, n = redstuff.encode(data, code), code.n_shards
    targets, sources = draw.draw(st.permutations(range(n))), draw.draw(st.permutations(range(n)))[:2]
    found = symbols_of(encoded, axis, targets, sources, code)
    recovery.verify_symbols(found, encoded.metadata, code)
    at, part = (
        draw.draw(st.integers(0, len(found) - 1)),
        draw.draw(st.sampled_from(["data", "proof", "target", "source"])),
    )
    old = getattr(found[at], part)
    others = {"target": targets, "source": sources}
    new = draw.draw(st.sampled_from(others[part])) if part in others else flip(bytes(old), draw)
    found[at] = dataclasses.replace(found[at], **{part: new})
    try:
        for symbol in found:
            recovery.verify_symbol(symbol, encoded.metadata, code)
    except SymbolError:
        with pytest.raises(SymbolError):
            recovery.verify_symbols(found, encoded.metadata, code)
    else:
        recovery.verify_symbols(found, encoded.metadata, code)


@LAW
@given(params, axes, blobs(), st.data())
def test_a_symbol_with_a_changed_byte_is_refused(
    code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject
) -> None:
    encoded = redstuff.encode(data, code)
    indices = st.integers(0, code.n_shards - 1)
    (symbol,) = symbols_of(encoded, axis, [draw.draw(indices)], [draw.draw(indices)], code)
    with pytest.raises(SymbolError):
        check_moved(RecoverySymbol.from_bcs(flip(symbol.to_bcs(), draw)), encoded, code)


def check_moved(symbol: RecoverySymbol, encoded: redstuff.EncodedBlob, code: CodeParams) -> None:
    """Verifies; an empty or periodic blob has equal cells, so a symbol with another index may be true all the same."""
    recovery.verify_symbol(symbol, encoded.metadata, code)
    assert symbols_of(encoded, symbol.axis, [symbol.target], [symbol.source], code) == [symbol]
    raise SymbolError("true")


@FEW
@given(params, axes, blobs(), st.data())
def test_a_symbol_for_another_place_is_refused(code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject) -> None:
    encoded, n = redstuff.encode(data, code), code.n_shards
    (symbol,) = symbols_of(encoded, axis, [0], [1], code)
    changes: dict[str, object] = draw.draw(
        st.one_of(
            st.fixed_dictionaries({"target": st.integers(1, n + 3)}),
            st.fixed_dictionaries({"source": st.one_of(st.just(0), st.integers(2, n + 3))}),
            st.fixed_dictionaries({"proof": st.sampled_from([b"", symbol.proof[:-32], symbol.proof + bytes(32)])}),
            st.fixed_dictionaries({"data": st.sampled_from([b"", bytes(symbol.data) + b"\0"])}),
        )
    )
    with pytest.raises(SymbolError):
        check_moved(dataclasses.replace(symbol, **changes), encoded, code)  # type: ignore[arg-type]


@FEW
@given(params, axes, blobs(), rngs)
def test_fewer_more_or_equal_symbols_are_refused(code: CodeParams, axis: Axis, data: bytes, rng: random.Random) -> None:
    encoded, needed = redstuff.encode(data, code), code.source_symbols(axis)
    sources = rng.sample(range(code.n_shards), needed + 1)
    given_ = symbols_of(encoded, axis, [3], sources, code)
    for wrong in (given_, given_[:-2], [*given_[:-2], given_[0]], [*given_[:-1], given_[0]]):
        with pytest.raises(DecodeError):
            recovery.recover(wrong, encoded.metadata, code)
        proof = InconsistencyProof(axis, SliverIndex(3), tuple(wrong))
        with pytest.raises(ProofError):
            recovery.verify_inconsistency(proof, encoded.metadata, code)
    across = symbols_of(
        encoded, axis.orthogonal, [4 % code.n_shards], range(code.source_symbols(axis.orthogonal)), code
    )
    with pytest.raises(DecodeError, match="both axes"):
        recovery.recover([*given_[:-1], *across], encoded.metadata, code)


@LAW
@given(st.binary(max_size=300), axes)
def test_arbitrary_bytes_are_read_or_refused(data: bytes, axis: Axis) -> None:
    with contextlib.suppress(SymbolError):
        assert RecoverySymbol.from_bcs(data).to_bcs() == data
    with contextlib.suppress(ProofError):
        assert InconsistencyProof.from_bcs(axis, data).to_bcs() == data


# --- bad writers ------------------------------------------------------------------------------------------------------


Matrix = list[list[bytes]]


def expanded(rows: Sequence[bytes], code: CodeParams, twin: dumb.Code) -> Matrix:
    """All n × n cells of the bodies of primary slivers."""
    size = len(rows[0]) // code.k2
    return [twin.expand([row[at : at + size] for at in range(0, len(row), size)], code.n_shards) for row in rows]


def commit(rows: Matrix, columns: Matrix, length: int, code: CodeParams) -> BlobMetadata:
    """Metadata over the rows that the holders of primary slivers get, and the columns of the others."""
    n = code.n_shards
    roots = [[dumb.merkle_root(word) for word in words] for words in (rows, columns)]
    hashes = tuple(SliverPairHashes(roots[0][at], roots[1][n - 1 - at]) for at in range(n))
    return BlobMetadata(code.encoding, length, hashes)


def cell(words: Matrix, source: int, target: int, axis: Axis) -> RecoverySymbol:
    """The cell of the orthogonal word `source`, with its proof."""
    tree = merkle.levels(merkle.leaves(words[source]))
    return RecoverySymbol(
        axis, SliverIndex(target), SliverIndex(source), words[source][target], merkle.path(tree, target)
    )


@settings(deadline=None, max_examples=150)
@given(params, axes, blobs(max_size=200), st.integers(0, 6), rngs)
def test_a_proof_is_accepted_exactly_when_the_encoding_is_wrong(
    code: CodeParams, axis: Axis, data: bytes, faults: int, rng: random.Random
) -> None:
    """The writer puts foreign bytes into some cells, of a row, of a column or of both, and commits to what came out."""
    encoded, n, twin = redstuff.encode(data, code), code.n_shards, twin_of(code.encoding)
    rows = expanded([bytes(sliver.data) for sliver in slivers(encoded, Axis.PRIMARY)], code, twin)
    columns = [list(column) for column in zip(*rows, strict=True)]
    for _ in range(faults):
        row, column, kind = rng.randrange(n), rng.randrange(n), rng.randrange(3)
        foreign = bytes([rows[row][column][0] ^ rng.randint(1, 255)]) + rows[row][column][1:]
        if kind != 0:
            rows[row][column] = foreign
        if kind != 1:
            columns[column][row] = foreign
    metadata = commit(rows, columns, len(data), code)
    orthogonal = columns if axis is Axis.PRIMARY else rows
    targets, sources = sorted(rng.sample(range(n), 3)), rng.sample(range(n), code.source_symbols(axis))
    given_ = [[cell(orthogonal, source, target, axis) for source in sources] for target in targets]
    outcomes = recovery.recover([symbol for symbols in given_ for symbol in symbols], metadata, code)
    for target, symbols, outcome in zip(targets, given_, outcomes, strict=True):
        for symbol in symbols:
            recovery.verify_symbol(symbol, metadata, code)
        # The twin solves for the one word through these cells, and looks whether the writer has committed to it.
        found = twin.solve({symbol.source: symbol.data for symbol in symbols}, code.source_symbols(axis), n)
        right = dumb.merkle_root(twin.expand(found, n)) == metadata.sliver_hash(axis, SliverIndex(target))
        assert right or faults
        told = InconsistencyProof(axis, SliverIndex(target), tuple(symbols))
        proof = InconsistencyProof.from_bcs(axis, told.to_bcs())
        if right:
            assert outcome == Sliver(axis, SliverIndex(target), len(found[0]), b"".join(found))
            with pytest.raises(ProofError, match="commits to"):
                recovery.verify_inconsistency(proof, metadata, code)
            continue
        assert isinstance(outcome, InconsistencyProof)
        assert (outcome.axis, outcome.target) == (axis, target)
        assert {symbol.source: symbol for symbol in outcome.symbols} == {symbol.source: symbol for symbol in symbols}
        for accepted in (outcome, proof):
            recovery.verify_inconsistency(accepted, metadata, code)


@FEW
@given(params, axes, st.sampled_from([-2, -1, 1, 2, 70_000]), rngs)
def test_cells_of_another_size_prove_nothing_although_the_writer_commits_to_them(
    code: CodeParams, axis: Axis, more: int, rng: random.Random
) -> None:
    encoded, n, twin = redstuff.encode(b"walrus", code), code.n_shards, twin_of(code.encoding)
    rows = expanded([bytes(sliver.data) for sliver in slivers(encoded, Axis.PRIMARY)], code, twin)
    row, column = rng.randrange(n), rng.randrange(n)
    rows[row][column] = rows[row][column][:more] if more < 0 else rows[row][column] + bytes(more)
    columns = [list(column) for column in zip(*rows, strict=True)]
    metadata = commit(rows, columns, 6, code)
    target, source = (row, column) if axis is Axis.PRIMARY else (column, row)
    others = rng.sample([at for at in range(n) if at != source], code.source_symbols(axis) - 1)
    symbols = [cell(columns if axis is Axis.PRIMARY else rows, at, target, axis) for at in (source, *others)]
    with pytest.raises(SymbolError, match="bytes"):
        recovery.verify_symbol(symbols[0], metadata, code)
    with pytest.raises(ProofError, match="does not hold"):
        recovery.verify_inconsistency(InconsistencyProof(axis, SliverIndex(target), tuple(symbols)), metadata, code)


@FEW
@given(params, axes, blobs(max_size=300), st.data())
def test_a_proof_with_a_changed_byte_is_refused(code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject) -> None:
    """The writer commits to one wrong hash; the proof of it holds, and no proof that differs in a byte does."""
    encoded, n = redstuff.encode(data, code), code.n_shards
    target = draw.draw(st.integers(0, n - 1))
    hashes = list(encoded.metadata.hashes)
    pair = target if axis is Axis.PRIMARY else n - 1 - target
    lie = draw.draw(st.binary(min_size=32, max_size=32))
    change = {"primary" if axis is Axis.PRIMARY else "secondary": lie}
    hashes[pair] = dataclasses.replace(hashes[pair], **change)
    metadata = dataclasses.replace(encoded.metadata, hashes=tuple(hashes))
    sources = range(code.source_symbols(axis))
    symbols = symbols_of(encoded, axis, [target], sources, code)
    (proof,) = recovery.recover(symbols, metadata, code)
    assert isinstance(proof, InconsistencyProof)
    recovery.verify_inconsistency(proof, metadata, code)
    with pytest.raises(ProofError):
        recovery.verify_inconsistency(proof, encoded.metadata, code)
    with pytest.raises(CodecError):
        check_changed(flip(proof.to_bcs(), draw), axis, metadata, encoded, code)


def check_changed(
    raw: bytes, axis: Axis, metadata: BlobMetadata, encoded: redstuff.EncodedBlob, code: CodeParams
) -> None:
    """Verifies; with equal cells a proof over other sources may hold all the same."""
    changed = InconsistencyProof.from_bcs(axis, raw)
    recovery.verify_inconsistency(changed, metadata, code)
    for symbol in changed.symbols:
        assert symbols_of(encoded, axis, [symbol.target], [symbol.source], code) == [symbol], "a false symbol was taken"
    raise ProofError("true")


@FEW
@given(params, axes, blobs(), st.data())
def test_a_rotten_sliver_gives_no_symbols(code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject) -> None:
    encoded = redstuff.encode(data, code)
    sliver = slivers(encoded, axis)[draw.draw(st.integers(0, code.n_shards - 1))]
    rotten = dataclasses.replace(sliver, data=flip(bytes(sliver.data), draw))
    with pytest.raises(SliverError):
        recovery.make_symbols(rotten, [SliverIndex(0)], encoded.metadata, code)
