"""Commands: one file per noun. Each asks, has something done, and tells the outcome; no rules in here."""
