"""Seeded damage of texts and bytes, and what may come of reading them."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nas_search.core.errors import InputError, RunError

SECONDS = 20
"""Time that one case may take."""

REFUSALS = (InputError, RunError, HydraException, OmegaConfBaseException)
"""What a command turns into one line."""

TRAP = "executed-by-a-fuzz-case"
"""File that nobody may make: the code in the texts below would."""

CODE = (
    f"__import__('pathlib').Path('{TRAP}').touch()",
    f"open('{TRAP}', 'w')",
    f"[c for c in ().__class__.__base__.__subclasses__()]; open('{TRAP}','w')",
    f"!!python/object/apply:os.system ['touch {TRAP}']",
    f"${{oc.env:HOME}}`touch {TRAP}`$(touch {TRAP})",
)

WORDS = (
    *("", " ", "\n", "\0", "null", "None", "nan", "inf", "-1", "0", "1e999", "9" * 20, "9" * 400),
    *("[]", "{}", "[1]", "{a: 1}", "[[[[", "((((", "'", '"', "\\", "|", "~", "+", "@", "#", "é"),
    *("\udce9", "\U0001f600", "../../etc", "a" * 5000, "(" * 2000, "[/b]", "True", "x" * 300),
)


def mutated_text(text: str, rng: random.Random) -> str:
    """Return ``text`` with one to three changes: words put in, parts removed, doubled, swapped."""
    for _ in range(rng.randint(1, 3)):
        at, to = sorted(rng.choices(range(len(text) + 1), k=2))
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + rng.choice(WORDS) + text[at:]
        elif kind == 1:
            text = text[:at] + rng.choice(CODE) + text[at:]
        elif kind == 2:
            text = text[:at] + text[to:]
        elif kind == 3:
            text = text[:to] + text[at:]
        elif kind == 4 and text:
            spot = rng.randrange(len(text))
            text = text[:spot] + chr(rng.randrange(1, 0x2FF)) + text[spot + 1 :]
        else:
            text = text[at:to] + text[:at] + text[to:]
    return text


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return ``content`` with flipped bits, or a part cut, doubled, zeroed or replaced."""
    changed = bytearray(content)
    kind = rng.randrange(7)
    at, to = sorted(rng.choices(range(len(content) + 1), k=2))
    if kind <= 1:
        for _ in range(rng.choice((1, 1, 4, 50))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del changed[at:to]
    elif kind == 3:
        del changed[at:]
    elif kind == 4:
        changed[at:at] = content[at:to]
    elif kind == 5:
        changed[at : at + 64] = bytes(min(64, len(changed) - at))
    else:
        changed[at : at + 8] = rng.randbytes(8)
    return bytes(changed)


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise TimeoutError where a case takes longer than :data:`SECONDS`."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def survive(cases: Iterator[tuple[str, Callable[[], object]]], folder: Path) -> tuple[int, int]:
    """Run the cases; return how many there were, and how many of them were refused.

    Each must end in a value or in a refusal of one line; nothing may be executed.

    Raises:
        AssertionError: one does not; the message names the first of them.
    """
    count = refused = 0
    failures: list[str] = []
    for name, case in cases:
        count += 1
        try:
            with no_hang():
                case()
        except REFUSALS as error:
            refused += 1
            if isinstance(error, InputError | RunError) and "\n" in str(error).strip():
                failures.append(f"{name}: a refusal of several lines: {str(error)[:300]!r}")
        except (Exception, SystemExit) as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
        if list(folder.rglob(TRAP)) or Path(TRAP).exists():
            failures.append(f"{name}: code was executed")
            break
    listed = "\n".join(failures[:20])
    assert not failures, f"{len(failures)} of {count} cases:\n{listed}"
    return count, refused
