"""Training-free scores: pure functions of a measurement, each with a descriptive record."""

from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement

__all__ = ["PROXIES", "Measurement", "ProxyRecord"]
