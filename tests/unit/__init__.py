"""Tests of one floor at a time."""
