"""Looking: Kubernetes (`kube`, `cluster`), the chain (`chain`) and the storage nodes (`nodes`), joined to one `Snapshot`.

Nothing in here writes. Each part has its own time-out and its own memory of the last good answer, so that one part that
is silent neither blocks a pass nor erases what was known.
"""
