"""The Kubernetes operator: custom resources in, a running Walrus network out.

`observe` takes a frozen picture of cluster, chain and nodes; `plan` decides (pure); `build` renders manifests (pure);
`apply` writes only what is missing; `handlers` and `runtime` decide when a pass runs; `ctl` is walrusctl.
"""
