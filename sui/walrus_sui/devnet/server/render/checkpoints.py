"""Checkpoints as messages."""

from collections.abc import Sequence

from walrus_proto.sui.rpc.v2 import checkpoint_pb2
from walrus_sui.devnet.ledger.records import Checkpoint, Executed
from walrus_sui.devnet.server.masks import EVERYTHING, Mask
from walrus_sui.devnet.server.render import effects, objects, transactions
from walrus_sui.devnet.server.render.objects import AsJson
from walrus_sui.devnet.server.render.values import timestamp


def checkpoint(
    value: Checkpoint, executed: Sequence[Executed], as_json: AsJson, mask: Mask = EVERYTHING
) -> checkpoint_pb2.Checkpoint:
    """A checkpoint, with what the mask wants of it.

    Args:
        value: the checkpoint.
        executed: its transactions in order; may be empty when the mask wants neither them nor their objects.
        as_json: renders Move values.
        mask: over Checkpoint.
    """
    message = checkpoint_pb2.Checkpoint(sequence_number=value.sequence, digest=value.digest)
    if mask.has("summary"):
        message.summary.CopyFrom(_summary(value))
    if mask.has("signature"):
        # One authority that nobody verifies: a devnet's checkpoints carry no committee signature.
        message.signature.CopyFrom(checkpoint_pb2.ValidatorAggregatedSignature(epoch=value.epoch))
    if mask.has("contents"):
        message.contents.CopyFrom(_contents(value))
    if mask.has("transactions"):
        inside = mask.sub("transactions")
        message.transactions.extend(
            effects.executed(item, as_json, inside, position=position) for position, item in enumerate(executed)
        )
    if mask.has("objects"):
        inside = mask.sub("objects").sub("objects")
        message.objects.objects.extend(objects.obj(item, as_json, inside) for item in effects.touched(executed))
    return mask.prune(message)


def _summary(value: Checkpoint) -> checkpoint_pb2.CheckpointSummary:
    message = checkpoint_pb2.CheckpointSummary(
        digest=value.digest,
        epoch=value.epoch,
        sequence_number=value.sequence,
        total_network_transactions=value.total_transactions,
        content_digest=value.contents_digest,
        previous_digest=value.previous_digest,
        epoch_rolling_gas_cost_summary=effects.gas_used(value.rolling_gas),
        timestamp=timestamp(value.timestamp_ms),
    )
    message.bcs.name, message.bcs.value = "CheckpointSummary", value.summary_bcs
    return message


def _contents(value: Checkpoint) -> checkpoint_pb2.CheckpointContents:
    message = checkpoint_pb2.CheckpointContents(digest=value.contents_digest, version=1)
    message.bcs.name, message.bcs.value = "CheckpointContents", value.contents_bcs
    for digest, effects_digest, signatures in zip(
        value.transactions, value.effects_digests, value.signatures, strict=True
    ):
        message.transactions.add(
            transaction=digest,
            effects=effects_digest,
            signatures=[transactions.signature(item) for item in signatures],
        )
    return message
