"""The administrator's door: what a command on this machine may do, in the running server or on the store itself."""
