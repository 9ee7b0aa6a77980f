"""A wrong encoding is proved, judged and told to the chain."""

import pytest
from tests.unit.node.recovery_worlds import EPOCH, KEY, make_blob

from walrus_client.errors import PeerUnreachableError
from walrus_client.peers import SignedMessage
from walrus_codec.types import Axis
from walrus_node.recovery.blobs import Outcome
from walrus_sui import bls, messages
from walrus_sui.keys import BlsKey


async def unreachable(blob_id, axis, proof):
    raise PeerUnreachableError("it", "is down")


async def forged(blob_id, axis, proof):
    return SignedMessage(messages.invalid_blob(blob_id, EPOCH), BlsKey.generate().sign(b"another message"))


class TestDenouncing:
    @pytest.mark.parametrize("axis", list(Axis))
    async def test_a_wrong_encoding_is_proved_judged_and_told_to_the_chain(self, world, axis):
        lie = make_blob(b"lie" * 99, lie=axis)
        await world.add(lie)
        assert await world.complete(lie) is Outcome.INVALID
        (told,) = world.chain.updates
        assert told.message == messages.invalid_blob(lie.blob_id, EPOCH)
        members = world.chain.view.committee.members
        signers = [entry for index, entry in enumerate(members) if told.signers_bitmap[index // 8] >> index % 8 & 1]
        assert sum(entry.weight for entry in signers) >= 4
        assert bls.aggregate_verify([entry.bls_public_key for entry in signers], told.message, told.signature)

    async def test_too_few_judges_tell_nothing(self, world):
        lie = make_blob(b"lie" * 99, lie=Axis.SECONDARY)
        await world.add(lie)
        for peer in world.each():
            peer.submit_inconsistency_proof = unreachable
        assert await world.complete(lie) is Outcome.LACKING
        assert not world.chain.updates

    async def test_false_signatures_do_not_count(self, world):
        lie = make_blob(b"lie" * 99, lie=Axis.SECONDARY)
        await world.add(lie)
        honest = world.each()[2]
        for peer in world.each():
            if peer is not honest:
                peer.submit_inconsistency_proof = forged
        assert await world.complete(lie) is Outcome.INVALID
        (told,) = world.chain.updates
        publics = [KEY.public_key, honest.key.public_key]
        assert bls.aggregate_verify(publics, told.message, told.signature)

    async def test_a_chain_that_is_away_is_told_later(self, world):
        lie = make_blob(b"lie" * 99, lie=Axis.SECONDARY)
        await world.add(lie)
        view = await world.view.refresh()
        world.chain.down = True
        assert await world.recoverer.complete(lie.blob_id, world.scope, view) is Outcome.LACKING
        world.chain.down = False
        assert await world.complete(lie) is Outcome.INVALID
