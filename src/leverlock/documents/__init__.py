"""Identity documents: what is taken, what is left of it, and where it lies."""
