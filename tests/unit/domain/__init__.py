"""The domain floor: pure rules, tested without store, clock or network."""
