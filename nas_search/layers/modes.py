"""What a per-sample gradient means: the statistics of batch-norm and the parameters that count."""

from typing import Literal, get_args

Normalization = Literal["sample", "frozen", "batch", "eval"]
"""Statistics that batch-norm uses during the pass.

``sample``
    each sample's own mean and variance: what train mode gives when the images are forwarded one at
    a time, as the reference codes of this family do (= instance norm).
``frozen``
    the batch's mean and variance, held constant in the backward pass.
``batch``
    true train mode. Sample i's loss depends on the other samples; its "gradient" is its share of
    the batch gradient (the shares sum to the gradient of the summed loss).
``eval``
    the running statistics, 0 and 1 at initialization.

In all but ``batch`` no sample depends on another, so the result is exactly that of one backward
pass per sample.
"""

Parameters = Literal["weights", "all"]
"""Parameters that count: ``weights`` that inputs are multiplied with (of convolutions, linear
layers and attention), or ``all`` (biases, scales and shifts of normalization, embeddings and
parameters that stand alone too)."""

NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)
PARAMETERS: tuple[str, ...] = get_args(Parameters)
