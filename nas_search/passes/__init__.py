"""The passes over a network that scores are computed from: each in a file of its own.

A pass runs the network of one or several candidates in its own way (a backward pass with per-sample
gradients, a forward pass that looks at ReLUs, ...) and returns frozen dataclasses of results. A
score names the results that it needs; scores that need results of the same pass share it.

Kinds of results are imported from the files of their passes. A file that is put here is found
without being listed.
"""

from nas_search.passes.base import (
    PASSES,
    DeadNetwork,
    Facts,
    Form,
    Outcome,
    Pass,
    Subject,
    pass_of,
)

__all__ = ["PASSES", "DeadNetwork", "Facts", "Form", "Outcome", "Pass", "Subject", "pass_of"]
