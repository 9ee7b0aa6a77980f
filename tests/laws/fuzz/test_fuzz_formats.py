"""The formats of blobs and of reports: what was harmed is refused by its own error, or it is another value with one form, and unproved."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.fuzz import seeds
from tests.laws.fuzz.mutation import changed_bytes
from tests.laws.fuzz.seeds import HONEST, LYING, LYING_ID, OTHER, OTHERS_KEY, OUR_KEY, PARAMS, N
from tests.unit.node.worlds import US

from walrus_client.challenges.reports import Report, ReportError, SignedReport
from walrus_codec import recovery
from walrus_codec.errors import CodecError, MetadataError, ProofError, SliverError, SymbolError
from walrus_codec.mapping import pair_of_sliver
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.recovery import InconsistencyProof, RecoverySymbol
from walrus_codec.slivers import Sliver, verify_sliver
from walrus_codec.types import Axis
from walrus_sui import bls

FORMATS = {
    "BlobMetadata": (BlobMetadata.from_bcs, MetadataError),
    "Sliver": (lambda raw: Sliver.from_bcs(Axis.PRIMARY, raw), SliverError),
    "RecoverySymbol": (RecoverySymbol.from_bcs, SymbolError),
    "InconsistencyProof": (lambda raw: InconsistencyProof.from_bcs(Axis.SECONDARY, raw), ProofError),
    "Report": (Report.from_bytes, ReportError),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_harmed_bytes_are_refused_or_are_the_one_form_of_a_value_that_is_verified(name, data):
    read, error = FORMATS[name]
    corpus = seeds.stored(name, "bcs")
    seed = data.draw(st.sampled_from(corpus))
    raw = data.draw(changed_bytes(seed, corpus))
    try:
        value = read(raw)
    except error:
        return
    assert (value.to_bytes() if isinstance(value, Report) else value.to_bcs()) == raw
    with contextlib.suppress(CodecError, ReportError):
        verify(value)
        assert raw in corpus, "what is verified is what an honest writer made"


def verify(value):
    """As a node or a reader does with this value, for the blobs of the corpus."""
    match value:
        case BlobMetadata():
            verify_metadata(LYING_ID if value.hashes == LYING.hashes else HONEST.blob_id, value, n_shards=N)
        case Sliver():
            pair = pair_of_sliver(value.index, value.axis, N)
            verify_sliver(value, pair, HONEST.metadata, PARAMS)
        case Report():
            # Whether it is true is known to nobody else: it must stand under its maker's signature.
            signature = OTHERS_KEY.sign(seeds.report().to_bytes())
            keys = {OTHER: OTHERS_KEY.public_key, US: OUR_KEY.public_key}
            SignedReport(value.to_bytes(), signature).verified(keys, bls.verify)
        case RecoverySymbol():
            recovery.verify_symbol(value, HONEST.metadata, PARAMS)
        case InconsistencyProof():
            recovery.verify_inconsistency(value, LYING, PARAMS)
            # Its symbols may stand in any order, and one may be named as another that is equal.
            assert len({symbol.source for symbol in value.symbols}) == PARAMS.k1
            raise CodecError("proved")
