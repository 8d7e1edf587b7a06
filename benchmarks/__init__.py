"""How fast things are: one command per measurement.

Each prints its settings, hardware and versions with its table.
"""
