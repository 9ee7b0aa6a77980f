"""The devnet on disk: its database, what of the past it keeps, copies of it, and its audit."""
