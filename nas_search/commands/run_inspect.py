"""A whole look at the data: what is read, what is odd, whether the space takes it, a sheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from nas_search import report
from nas_search.commands.inspect_schema import InspectConfig
from nas_search.core.errors import InputError
from nas_search.core.files import write_csv
from nas_search.data.assemble import all_constant, spaced_rows
from nas_search.data.base import printable
from nas_search.data.inspection import Inspection, find_parts, inspect_parts, label_samples
from nas_search.priors import Effect, effects

SHEET = "contact_sheet.png"
EFFECTS = "effects.csv"
_SHOWN = 10


def run_inspect(config: InspectConfig, directory: Path, console: Console) -> Inspection:
    """Say what a search would read, and draw samples of it.

    Args:
        config: what to look at.
        directory: where the contact sheet goes; exists.
        console: where the lines go.

    Returns:
        What was found.

    Raises:
        InputError: a search would refuse the data; all that could be said has been.
        OSError: the sheet, or the table of effects, cannot be written.
    """

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    found = inspect_parts(find_parts(config.dataset, config.options), config.what.images)
    for line in found.facts:
        say(line)
    for note in found.notes:
        say(f"note: {note}")
    for reason in found.broken[:_SHOWN]:
        say(f"broken: {reason}")
    if len(found.broken) > _SHOWN:
        say(f"broken: {len(found.broken) - _SHOWN:,} more")
    refusal = _fits(config, found, say)
    _explain(config, directory, say)
    draw_sheet(found, directory / SHEET, config.what.classes, config.what.samples)
    say(f"samples as the network sees them: {directory / SHEET}")
    if found.broken:
        raise InputError(
            f"{found.parts.train.kind} that cannot be read: {len(found.broken):,} (see above); "
            "repair or remove them"
        )
    if found.blank:
        raise InputError(f"{all_constant(found.parts.train, 'training ')}: nothing to learn")
    if refusal:
        raise InputError(refusal)
    return found


def _fits(config: InspectConfig, found: Inspection, say: Callable[[str], None]) -> str:
    """Say how large a network of the space is on such images; return why there is none."""
    space, classes = config.space, len(found.parts.class_names)
    genotype, which = config.genotype, "the architecture"
    if genotype is None:
        genotype, which = space.sample(np.random.default_rng(0)), "one of its networks"
    try:
        cost = space.cost(genotype, found.input_shape, classes, **config.macro)
    except (InputError, RuntimeError) as error:  # torch refuses what no memory can hold
        return f"search_space={space.name}: {error}"
    one = "a series" if found.parts.series else "an image"
    say(
        f"search_space={space.name} takes this size: {which} has {cost.params:,} "
        f"parameters and {cost.macs:,} multiplications {one}"
    )
    return ""


def _explain(config: InspectConfig, directory: Path, say: Callable[[str], None]) -> None:
    """Say what the prior expects of the architecture, and why; write all effects.

    Raises:
        OSError: the disk refuses.
    """
    prior = config.prior
    if prior is None:
        return
    (mean,), (deviation,) = prior.predict([config.genotype])
    told = effects(prior, config.genotype)
    (place,) = prior.standardized(np.array([mean]))
    say(
        f"the prior expects {mean:+.2f} of the architecture, with an uncertainty of "
        f"{deviation:.2f}: {place:+.2f} standard deviations from a random one; {EFFECTS} says why, "
        f"these features most, beginning at {round(prior.mean, 2) + 0.0:.2f}:"
    )
    for one in told[:_SHOWN]:
        say(f"  {one.effect:+.3f}  {one.feature} = {one.value:g}")
    if len(told) > _SHOWN:
        rest = sum(one.effect for one in told[_SHOWN:])
        say(f"  {rest:+.3f}  {len(told) - _SHOWN} more features together")
    write_csv(directory / EFFECTS, Effect._fields, told)


def draw_sheet(found: Inspection, path: Path, classes: int, samples: int) -> None:
    """Write the contact sheet of training samples.

    Raises:
        OSError: the disk refuses.
    """
    parts = found.parts
    names = parts.class_names
    counts = torch.bincount(parts.train.labels, minlength=len(names)).tolist()
    shown = spaced_rows(len(names), classes).tolist()
    rows = [
        report.Row(
            printable(names[label]),
            counts[label],
            [image.numpy() for image in label_samples(parts.train, label, samples)],
            parts.series,
        )
        for label in shown
    ]
    size = " x ".join(map(str, found.input_shape))
    title = f"{parts.name}: training {parts.train.kind} of {size}"
    if len(shown) < len(names):
        title += f", {len(shown)} of {len(names)} classes"
    report.contact_sheet(rows, path, title, printable(parts.form))
