"""The public Walrus deployments, by the ids of their objects.

Their clients expect the official REST face of every storage node. These nodes do not have it yet, so a node of ours in
a public committee would be a hole in it: registering there is refused unless the configuration allows it in so many
words.
"""

from typing import Final

PUBLIC_SYSTEM_OBJECTS: Final = {
    "0x2134d52768ea07e8c43570ef975eb3e4c27a39fa6396bef985b5abc58d03ddd2": "Walrus mainnet",
    "0x6c2547cbbc38025cf3adac45f63cb0a8d12ecf777cdc75a4971612bf97fdf6af": "Walrus testnet",
}

PUBLIC_STAKING_OBJECTS: Final = {
    "0x10b9d30c28448939ce6c4d6c6e0ffce4a7f8a4ada8248bdad09ef8b70e4a3904": "Walrus mainnet",
    "0xbe46180321c30aab2f8b3501e24048377287fa708018a5b7c2792b35fe339ee3": "Walrus testnet",
}
