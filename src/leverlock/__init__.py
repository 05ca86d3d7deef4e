"""Leverlock: two-factor authentication for futures trading, at the moment of the dangerous action."""

__version__ = "0.1.0.dev0"
