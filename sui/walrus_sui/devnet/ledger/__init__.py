"""The ledger: transactions in, effects out. Pure: no IO, no clock, no randomness; the time comes in as an argument.

How to use it (class `walrus_sui.devnet.ledger.ledger.Ledger`, records in `walrus_sui.devnet.ledger.records`)::

    config = GenesisConfig.from_mapping(yaml_content)              # walrus_sui.devnet.genesis
    ledger, delta = Ledger.genesis(config, now_ms=...)             # delta of checkpoint 0: store it
    ledger = Ledger.restore(config, objects=live_objects, genesis=checkpoint_0, head=last_checkpoint)

    executed  = ledger.execute(tx_bytes, signatures)               # raises Rejected; idempotent on known digests
    simulated = ledger.simulate(transaction, do_gas_selection=True, checks=True)
    executed  = ledger.faucet(recipient, [amount, ...])            # an ordinary transaction, signed by the faucet's key
    delta     = ledger.close_checkpoint(now_ms)                    # moves the clock 0x6, seals what ran since the last

Reads, all of the state after the last executed transaction::

    ledger.object(object_id, version=None)      ledger.owned_objects(address, type_filter=None)
    ledger.dynamic_fields(parent)               ledger.balance(address, coin_type)    ledger.balances(address)
    ledger.coin_info(coin_type)                 ledger.function(package, module, name)
    ledger.transaction(digest)                  ledger.checkpoint(sequence_or_digest)
    ledger.head    ledger.chain_id    ledger.well_known    ledger.epoch_info()    ledger.as_json(type, bcs)

Durability. Between two checkpoints transactions live in memory only. Whoever answers a client before the checkpoint is
closed must first write ``(tx_bytes, signatures)`` to a journal, and after `restore` execute the journal again in order:
execution is deterministic, so effects and digests come out the same. A `Delta` goes to disk in one database transaction
that also empties the journal. The ledger keeps `history_limit` checkpoints with their transactions and old object
versions in memory; older ones are the store's to answer.
"""
