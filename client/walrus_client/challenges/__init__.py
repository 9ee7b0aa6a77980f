"""Availability challenges, the pure part: who is asked what and when, what an answer is worth, who votes.

Life of a challenge, all of it decided here and carried out by the storage nodes:

    events of the chain ─► blobs      B_e, the blobs that are asked for, and their root
    BLS key of the challenger ─► messages ─► seed σ   nobody can choose it, everybody can check it
    clock of the chain ─► times       when an attempt may start, when verdicts are final, when votes count
    σ and each answer ─► samples      the next question depends on the last answer
    monotonic clock ─► deadlines      until when each answer must be there
    attempts ─► verdicts              PASS, FAIL, EXCUSED or NONE of one challenger over one prover
    verdicts of all ─► reports        signed; two different ones void each other
    reports and committee ─► votes    whom a node votes to slash, and who was silent
    a kept transcript ─► replay       what anybody can check afterwards, offline

Nothing here reads a clock, draws random numbers or does IO.
"""
