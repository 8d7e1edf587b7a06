"""A user's own function from choices to a network, as a search space."""

from nas_search.spaces.module.space import ModuleOptions, ModuleSpace, NoNetwork

__all__ = ["ModuleOptions", "ModuleSpace", "NoNetwork"]
