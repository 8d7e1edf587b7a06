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
pass a sample.
"""

Parameters = Literal["weights", "all"]
"""Parameters that count: ``weights`` of convolutions and linear layers, or ``all`` (biases and the
affine parameters of batch-norm too)."""

Scheme = Literal["default", "kaiming_normal", "kaiming_fan_out", "standard_normal"]
"""Distribution of the initial weights.

``default``
    torch's own, U(-b, b) with b = 1/sqrt(fan_in) for weights and biases of convolutions and linear
    layers.
``kaiming_normal``
    N(0, 2/fan_in) for weights (He et al. 2015), zero biases.
``kaiming_fan_out``
    N(0, 2/fan_out) for weights, zero biases.
``standard_normal``
    N(0, 1) for weights, zero biases (Zen-NAS).

Batch-norm starts at scale 1 and shift 0 in all of them.
"""

NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)
PARAMETERS: tuple[str, ...] = get_args(Parameters)
SCHEMES: tuple[str, ...] = get_args(Scheme)
