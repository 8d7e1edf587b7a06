"""Bridges: what a search finds, told to TensorBoard, Weights & Biases and Optuna's dashboard."""

from nas_search.bridges.bridge import BRIDGES, Bridge, BridgeRecord
from nas_search.bridges.bridges import Bridges

__all__ = ["BRIDGES", "Bridge", "BridgeRecord", "Bridges"]
