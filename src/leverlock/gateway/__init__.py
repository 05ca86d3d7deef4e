"""The gateway: a door that unmodified exchange clients are pointed at. It translates and forwards; it holds no rules."""
