"""What is true: pure rules. No I/O, no clock, no randomness; `now` and secrets are passed in."""
