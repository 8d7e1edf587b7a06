"""Conformance suites that any search space or proxy, a user's own too, inherits in its tests.

They need the ``test`` extra (pytest, hypothesis) and are imported by tests only.
"""
