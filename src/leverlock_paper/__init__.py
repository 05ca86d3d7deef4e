"""The bundled paper venue: a small, honest USD-M futures venue with play money, reached over HTTP.

It speaks the wire dialect of a well known futures exchange closely enough for unmodified client packages,
keeps its state in SQLite, and makes its own prices. What it does not model it refuses with a venue error; it
never invents a success. It imports nothing of Leverlock, and nothing of Leverlock imports it.
"""
