"""Records of the ledger as `sui.rpc.v2` messages. A renderer builds what a mask may want; the caller prunes."""
