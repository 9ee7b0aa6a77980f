"""What the laws of the codec draw: parameters, blobs, and the slow twin that belongs to a code."""

from hypothesis import settings
from hypothesis import strategies as st
from tests.laws.codec import dumb

from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, EncodingType

# Machines that run the tests may be busy, so no law has a deadline; the test time-out guards against hanging.
LAW = settings(deadline=None, max_examples=1000)
FEW = settings(deadline=None, max_examples=100)

SHARDS = [4, 5, 6, 7, 9, 10, 13, 16]

params = st.builds(CodeParams, st.sampled_from(SHARDS), st.sampled_from(list(EncodingType)))
axes = st.sampled_from(list(Axis))


@st.composite
def blobs(draw: st.DrawFn, max_size: int = 1500) -> bytes:
    """Blobs of all small sizes, random or with long runs; cheap to draw also when long."""
    size = draw(st.one_of(st.integers(0, 40), st.integers(0, max_size)))
    unit = draw(st.binary(min_size=1, max_size=40))
    return (unit * (size // len(unit) + 1))[:size]


def twin_of(encoding: EncodingType) -> dumb.Code:
    return dumb.Leopard() if encoding is EncodingType.RS2 else dumb.Cauchy()


def slivers(encoded: redstuff.EncodedBlob, axis: Axis) -> list[Sliver]:
    """All n slivers of an axis in index order."""
    found = [pair.primary if axis is Axis.PRIMARY else pair.secondary for pair in encoded.pairs]
    return sorted(found, key=lambda sliver: sliver.index)
