"""Availability challenges, the node's side: it proves what it holds, and looks whether the others hold theirs.

Life of an epoch: at its first checkpoint the blobs that will be asked for are noted (`rounds`). In the window this node
opens a stream to every other member at a moment that its own signature decides (`challenger`, one attempt: `examiner`),
answers those of the others (`prover`), and feeds nobody what he is challenged for (`feeding`). Verdicts are signed at 60 %, or
when they are proven (`judging`), pulled by the others (`book`), and lead to votes on chain (`consequences`, `voter`). What is right is decided by the pure rules of
`walrus_client.challenges`; here are clocks, streams and the disk.
"""
