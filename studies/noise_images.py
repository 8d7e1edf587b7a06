"""Write "images" of normal noise with balanced labels: what a score makes of no data at all.

python -m studies.noise_images --out outputs/noise.npz [--count 1000]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    noise = np.random.default_rng(0).standard_normal((options.count, 32, 32, 3))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(options.out, x_train=noise.astype(np.float32), y_train=np.arange(options.count) % 10)


if __name__ == "__main__":
    main()
