"""Conformance suites for search spaces, proxies and layer rules, a user's own too.

They need the ``test`` extra (pytest, hypothesis); only tests import them.
"""
