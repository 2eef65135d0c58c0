"""A clinic's own: what the model is worth on its films, and the bundle that follows from it."""
