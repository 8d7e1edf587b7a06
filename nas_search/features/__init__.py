"""Numbers that describe an architecture's structure, by one definition for all search spaces."""

from nas_search.features.features import VERSION, Features, feature_names, graph_features

__all__ = ["VERSION", "Features", "feature_names", "graph_features"]
