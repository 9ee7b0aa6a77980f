"""What an asker of recovery symbols wants, and the parser that lets nothing else in. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from walrus_client.peers import wire
from walrus_codec import mapping, merkle
from walrus_codec.errors import SymbolError
from walrus_codec.recovery import RecoverySymbol
from walrus_codec.types import Axis, BlobId, PairIndex, SliverIndex
from walrus_proto.node.v1 import node_pb2 as pb


@dataclass(frozen=True)
class ExpectedSymbols:
    """Symbols of some slivers of one axis, each from all of some pairs of one node.

    Attributes:
        blob_id: which blob.
        axis: of the slivers that are to be recovered.
        targets: their pairs.
        sources: pairs whose sliver of the other axis gives one symbol for each target.
        symbol_size: bytes of a symbol.
        n_shards: shards of the network.
    """

    blob_id: BlobId
    axis: Axis
    targets: Collection[PairIndex]
    sources: Sequence[PairIndex]
    symbol_size: int
    n_shards: int

    def query(self) -> pb.RecoveryQuery:
        """The body of the request."""
        return pb.RecoveryQuery(
            blob_id=self.blob_id,
            target_axis=wire.axis_to_pb(self.axis),
            target_pairs=sorted(self.targets),
            source_pairs=sorted(self.sources),
        )


class SymbolParser:
    """Sorts symbols by their source; every symbol must have been asked for, and comes once."""

    def __init__(self, expected: ExpectedSymbols) -> None:
        n, axis = expected.n_shards, expected.axis
        self._expected = expected
        self._targets = {mapping.sliver_of_pair(pair, axis, n) for pair in expected.targets}
        self._open = {mapping.sliver_of_pair(pair, axis.orthogonal, n): pair for pair in expected.sources}
        self._arrived: defaultdict[SliverIndex, dict[SliverIndex, RecoverySymbol]] = defaultdict(dict)

    def feed(self, part: pb.GetRecoverySymbolsResponse) -> list[RecoverySymbol] | wire.MissingSource | None:
        """Takes one message; returns all symbols of a source when they are complete, or a source that has none.

        Raises:
            MalformedAnswer: something else came than was asked for.
        """
        match part.WhichOneof("part"):
            case "missing":
                pair = PairIndex(part.missing.source_pair)
                index = next((index for index, known in self._open.items() if known == pair), None)
                if index is None or index in self._arrived:
                    raise wire.MalformedAnswer(f"source pair {pair} was not asked for, or came before")
                del self._open[index]
                return wire.MissingSource(pair, wire.reason_from_text(part.missing.reason))
            case "symbols":
                return self._take(part.symbols.symbols)
            case _:
                raise wire.MalformedAnswer("an empty message in a stream of recovery symbols")

    def finish(self) -> None:
        """The stream has ended; raises `MalformedAnswer` when something is missing."""
        if self._open:
            raise wire.MalformedAnswer(f"the stream ended without source pairs {sorted(self._open.values())}")

    def _take(self, raw: Sequence[bytes]) -> list[RecoverySymbol] | None:
        """A message holds symbols of one source only, so at most one source becomes complete."""
        if not raw:
            raise wire.MalformedAnswer("a message without symbols in a stream of recovery symbols")
        symbols = [self._read(data) for data in raw]
        source = symbols[0].source
        if any(symbol.source != source for symbol in symbols):
            raise wire.MalformedAnswer("one message has symbols of several sources")
        arrived = self._arrived[source]
        for symbol in symbols:
            if symbol.target in arrived:
                raise wire.MalformedAnswer(f"symbol {symbol.source} of sliver {symbol.target} came twice")
            arrived[symbol.target] = symbol
        if len(arrived) < len(self._targets):
            return None
        del self._open[source], self._arrived[source]
        return list(arrived.values())

    def _read(self, data: bytes) -> RecoverySymbol:
        expected = self._expected
        try:
            symbol = RecoverySymbol.from_bcs(data)
        except SymbolError as error:
            raise wire.MalformedAnswer(str(error)) from error
        if symbol.axis is not expected.axis or symbol.source not in self._open or symbol.target not in self._targets:
            raise wire.MalformedAnswer(f"symbol {symbol.source} of sliver {symbol.target} was not asked for")
        if len(symbol.data) != expected.symbol_size:
            raise wire.MalformedAnswer(f"a symbol of {len(symbol.data)} bytes instead of {expected.symbol_size}")
        if len(symbol.proof) > merkle.height(expected.n_shards) * merkle.NODE_SIZE:
            raise wire.MalformedAnswer("a Merkle proof is longer than the tree is high")
        return symbol
