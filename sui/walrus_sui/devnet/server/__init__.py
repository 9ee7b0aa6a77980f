"""The devnet's faces: `sui.rpc.v2` over gRPC, the faucet and the network configuration over HTTP.

Nothing here decides anything about the ledger: requests become ledger questions, answers become protobuf messages.
"""
