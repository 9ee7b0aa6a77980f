"""Laws are about outcomes, not about time: on a loaded machine any example may be slow."""

from hypothesis import settings

settings.register_profile("laws", deadline=None)
settings.load_profile("laws")
