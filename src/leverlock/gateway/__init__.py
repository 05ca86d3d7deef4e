"""The gateway: a door for unmodified exchange clients. It translates, asks and forwards; it holds no rules."""
