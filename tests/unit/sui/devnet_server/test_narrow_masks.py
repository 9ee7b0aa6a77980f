"""What a renderer leaves out under a narrow mask is only what the mask would have removed."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from walrus_proto.sui.rpc.v2 import effects_pb2
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.server import masks
from walrus_sui.devnet.server.render import effects

ANSWER = effects_pb2.ExecutedTransaction.DESCRIPTOR
INSIDE = [field.name for field in effects_pb2.TransactionEffects.DESCRIPTOR.fields]
PATHS = [field.name for field in ANSWER.fields] + [f"effects.{name}" for name in INSIDE]


@pytest.fixture(scope="module")
def executed():
    ledger, _ = Ledger.genesis(GenesisConfig(seed="masks", n_shards=10), now_ms=1)
    return ledger.faucet("0x" + "a1" * 32, [1, 2]), ledger.as_json


@pytest.mark.parametrize("path", PATHS)
def test_a_narrow_answer_is_the_whole_one_cut_down(executed, path):
    done, as_json = executed
    mask = masks.parse(FieldMask(paths=[path]), ANSWER, default="")
    assert effects.executed(done, as_json, mask) == mask.prune(effects.executed(done, as_json))
