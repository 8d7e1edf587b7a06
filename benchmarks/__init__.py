"""One command a measurement; each prints its settings, hardware and versions with its table."""
