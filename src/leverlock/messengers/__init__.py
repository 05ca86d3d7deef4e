"""Messengers: how the owner is reached, after the commit that wrote the message. One file per channel, one outbox."""
