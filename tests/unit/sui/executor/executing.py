"""An executor over a fake chain, and the smallest of transactions."""

import random
from collections.abc import Sequence

from tests.unit.sui import fake_chain as fake

from walrus_codec.types import ObjectId
from walrus_sui.abi import ptb
from walrus_sui.abi.ptb import MoveCall, Program
from walrus_sui.client.executor import Executor
from walrus_sui.client.gas import GAS_CAP
from walrus_sui.keys import SuiKey

KEY = SuiKey(bytes(range(32)))
RICH = 10 * GAS_CAP


def touch(number: int):
    """Commands that differ by a number."""

    def build(program: Program, _wal: Sequence[ObjectId]) -> None:
        program.add(MoveCall(fake.oid(1), "m", f"f{number}", (ptb.u64(number),)))

    return build


def executor(chain, patience: float = 5.0) -> Executor:
    return Executor(chain, wal_type=fake.WAL_TYPE, patience=patience, rng=random.Random(1))
