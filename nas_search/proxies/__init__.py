"""Training-free scores: pure functions of a measurement, each with a record of what it is."""

from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement

__all__ = ["PROXIES", "Measurement", "ProxyRecord"]
