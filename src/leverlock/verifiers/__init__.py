"""Verifiers: one file per kind of proof. Each returns a small frozen result or raises; none returns a boolean."""
