"""Pure builders: from a `Workload` to Kubernetes manifests.

One module per part (`devnet`, `nodes`, `gateway`, `policies`, `resources`), the pieces they share in `common`, and
`objects.manifests` as the one list of everything that should exist, in the order in which it is applied.
"""
