"""How it is kept: named SQL in `queries.sql`, the acts that give it types, and the engines that run it."""
