"""Pure decisions: from a `Snapshot` to a `Plan`.

One module per question: who may be a member (`membership`), what the keys say (`keys`), which money must move
(`funding`), how many shards are safe (`budget`), what to report of nodes, epochs and the network (`node_status`,
`epochs`, `network_status`). `passes.plan` asks them all in order.
"""
