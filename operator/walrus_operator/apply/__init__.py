"""Acting: what a `Plan` asks for becomes calls to Kubernetes and to the chain, and nothing else does.

`drift` tells which manifests the live objects lack (pure); `keys` makes key Secrets; `money` moves stake and funds;
`carry_out` does all of a plan in its order and counts what it did.
"""
