"""A new ledger, always the same."""

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.testing import START_MS

SOMEBODY = SuiAddress("0x" + "ab" * 32)
CONFIG = GenesisConfig(seed="ledger tests")


def ledger() -> Ledger:
    return Ledger.genesis(CONFIG, now_ms=START_MS, strict=True)[0]
