"""The operator's API: typed specs and statuses, condition reasons, and the records that the reconcile pass works on.

`network`, `node` and `epoch` are the custom resources as models; `schema` turns them into CRDs; `conditions` lists every
condition and reason; `world` holds what a pass observes (`Snapshot`) and decides (`Plan`). Everything here is pure.
"""
