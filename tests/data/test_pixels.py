"""Every mode that Pillow opens is scaled by its own range; transparency shows the background."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from nas_search.core.errors import InputError
from nas_search.data.fit import Fit, fit_picture
from nas_search.data.imagefolder import ImageFolderOptions, load_imagefolder
from nas_search.data.pixels import WHITE, read_color, read_rgb

RAMP = np.tile(np.linspace(0, 1, 16), (24, 1))  # 0, 17, 34, ... of 255 from left to right
EIGHT = np.rint(RAMP * 255).astype(np.uint8)
SIXTEEN = np.rint(RAMP * 65535).astype(np.uint16)
GRAY = Image.fromarray(EIGHT)
BLACK = Image.new("L", GRAY.size, 0)
DRAWING = Image.merge("LA", (BLACK, GRAY))  # black ink, more and more of it, on nothing


def lab() -> Image.Image:
    neutral = Image.new("L", GRAY.size, 128)
    return Image.merge("LAB", (GRAY, neutral, neutral))


RANGES: list[tuple[str, Callable[[], Image.Image], dict[str, Any]]] = [
    ("l.png", lambda: GRAY, {}),
    ("rgb.png", lambda: GRAY.convert("RGB"), {}),
    ("16.png", lambda: Image.fromarray(SIXTEEN), {}),
    ("16.tif", lambda: Image.fromarray(SIXTEEN), {}),
    ("16_big_endian.tif", lambda: Image.fromarray(SIXTEEN.astype(">u2")), {}),
    ("16.pgm", lambda: Image.fromarray(SIXTEEN.astype(np.int32)), {}),
    ("int_8.tif", lambda: Image.fromarray(EIGHT.astype(np.int32)), {}),
    ("int_16.tif", lambda: Image.fromarray(SIXTEEN.astype(np.int32)), {}),
    ("float_1.tif", lambda: Image.fromarray(RAMP.astype(np.float32)), {}),
    ("float_255.tif", lambda: Image.fromarray(RAMP.astype(np.float32) * 255), {}),
    ("float_65535.tif", lambda: Image.fromarray(RAMP.astype(np.float32) * 65535), {}),
    ("float.pfm", lambda: Image.fromarray(RAMP.astype(np.float32)), {}),
    ("palette.png", lambda: GRAY.convert("P"), {}),
    ("palette.gif", lambda: GRAY, {}),
    ("cmyk.jpg", lambda: GRAY.convert("RGB").convert("CMYK"), {"quality": 95}),
    ("cmyk.tif", lambda: GRAY.convert("RGB").convert("CMYK"), {}),
    ("ycbcr.jpg", lambda: GRAY.convert("RGB").convert("YCbCr"), {"quality": 95}),
    ("white_is_zero.tif", lambda: Image.fromarray(255 - EIGHT), {"tiffinfo": {262: 0}}),
    ("white_is_zero_16.tif", lambda: Image.fromarray(65535 - SIXTEEN), {"tiffinfo": {262: 0}}),
    ("opaque.png", lambda: GRAY.convert("RGBA"), {}),
    ("opaque.webp", lambda: GRAY.convert("RGBA"), {"lossless": True}),
    ("opaque.tga", lambda: GRAY.convert("RGBA"), {}),
    ("bmp.bmp", lambda: GRAY, {}),
    ("jfif.jfif", lambda: GRAY, {"quality": 95}),
    ("qoi.qoi", lambda: GRAY.convert("RGB"), {}),
]


def read(path: Path) -> np.ndarray:
    return np.asarray(read_rgb(path, WHITE)).astype(int)


@pytest.mark.parametrize(("name", "make", "how"), RANGES, ids=[name for name, _, _ in RANGES])
def test_every_mode_is_scaled_by_its_own_range(
    tmp_path: Path, name: str, make: Callable[[], Image.Image], how: dict[str, Any]
) -> None:
    picture = make()
    if name == "white_is_zero.tif":  # Pillow writes 8 bits as they are and reads them inverted
        picture = GRAY
    picture.save(tmp_path / name, **how)
    pixels = read(tmp_path / name)
    assert pixels.shape == (24, 16, 3)
    lossy = 6 if name.endswith((".jpg", ".jfif")) else 1
    assert np.abs(pixels - EIGHT[..., None]).max() <= lossy


def test_lightness_and_two_colors_are_read(tmp_path: Path) -> None:
    lab().save(tmp_path / "lab.tif")
    pixels = read(tmp_path / "lab.tif")
    assert (np.diff(pixels[0, :, 1]) > 5).all() and pixels[0, 0, 1] < 5 and pixels[0, -1, 1] > 250
    for suffix in ("png", "tif", "pbm"):
        Image.fromarray(EIGHT > 127).save(tmp_path / f"two.{suffix}")
        assert np.array_equal(read(tmp_path / f"two.{suffix}")[..., 0], 255 * (EIGHT > 127))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read(tmp_path: Path) -> None:
    GRAY.convert("RGB").save(tmp_path / "a.avif")
    assert np.abs(read(tmp_path / "a.avif")[..., 0] - EIGHT).max() <= 8


TRANSPARENT: list[tuple[str, Callable[[], Image.Image]]] = [
    ("la.png", lambda: DRAWING),
    ("rgba.png", lambda: DRAWING.convert("RGBA")),
    ("rgba.tif", lambda: DRAWING.convert("RGBA")),
    ("rgba.webp", lambda: DRAWING.convert("RGBA")),
]


@pytest.mark.parametrize(("name", "make"), TRANSPARENT, ids=[name for name, _ in TRANSPARENT])
def test_black_drawings_on_nothing_are_black_on_the_background(
    tmp_path: Path, name: str, make: Callable[[], Image.Image]
) -> None:
    how: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
    make().save(tmp_path / name, **how)
    white = read(tmp_path / name)
    assert np.abs(white - (255 - EIGHT)[..., None]).max() <= 1
    red = np.asarray(read_rgb(tmp_path / name, read_color("red")))
    assert red[0, 0].tolist() == [255, 0, 0] and red[0, -1].tolist() == [0, 0, 0]


def test_transparent_colors_of_palettes_gray_and_color_show_the_background(tmp_path: Path) -> None:
    blank = EIGHT == 0
    expected = np.where(blank, 255, EIGHT)
    palette = GRAY.quantize(16, dither=Image.Dither.NONE)
    first = palette.getpixel((0, 0))
    for name, picture, key in (
        ("l.png", GRAY, 0),
        ("rgb.png", GRAY.convert("RGB"), (0, 0, 0)),
        ("p.png", palette, first),
        ("p.gif", palette, first),
        ("16.png", Image.fromarray(SIXTEEN), 0),
    ):
        picture.save(tmp_path / name, transparency=key)
        assert np.abs(read(tmp_path / name)[..., 0] - expected).max() <= 1, name
    alpha = bytes(0 if index == first else 255 for index in range(16))
    palette.save(tmp_path / "alphas.png", transparency=alpha)
    assert np.abs(read(tmp_path / "alphas.png")[..., 0] - expected).max() <= 1
    # One bit: white ink, black is transparent.
    Image.fromarray(~blank).save(tmp_path / "one.png", transparency=0)
    red = np.asarray(read_rgb(tmp_path / "one.png", (255, 0, 0)))
    assert np.array_equal(red[0, 0], [255, 0, 0]) and np.array_equal(red[0, 1], [255, 255, 255])


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_sixteen_bit_color_and_its_transparent_color_are_read(tmp_path: Path) -> None:
    pixels = np.repeat(SIXTEEN[..., None], 3, axis=2).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 16, 24, 16, 2, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"tRNS", struct.pack(">HHH", *(4369,) * 3))]
    parts += [png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    expected = np.where(SIXTEEN == 4369, 255, EIGHT)
    assert np.abs(read(tmp_path / "a.png")[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "16.png", "16.tif", "webp"])
def test_pictures_are_turned_as_exif_says(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by 90 degrees clockwise
    picture = Image.fromarray(SIXTEEN) if kind.startswith("16") else GRAY
    how: dict[str, Any] = (
        {"tiffinfo": {0x112: 6}} if kind.endswith("tif") else {"exif": exif, "quality": 95}
    )
    picture.save(tmp_path / f"a.{kind}", **how)
    pixels = read(tmp_path / f"a.{kind}")
    assert pixels.shape == (16, 24, 3)
    assert pixels[0].max() < 10 and pixels[-1].min() > 245


@pytest.mark.parametrize(
    ("values", "said"),
    [(RAMP - 0.5, "go from -0.5 to 0.5"), (RAMP * 1e6, "to 1e"), (np.full((9, 9), np.nan), "nan")],
)
def test_values_of_no_known_range_are_refused(
    tmp_path: Path, values: np.ndarray, said: str
) -> None:
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"cannot decode .*a\.tif \(its values go from") as caught:
        read(tmp_path / "a.tif")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_colors_are_refused() -> None:
    assert read_color("#ff8000") == read_color("rgb(255, 128, 0)") == (255, 128, 0)
    with pytest.raises(InputError, match="dataset.background=transparent is no color; use a name"):
        read_color("transparent")


def test_pictures_become_square_by_the_chosen_rule() -> None:
    wide = Image.new("RGB", (64, 32), "white")
    wide.paste((0, 0, 0), (16, 0, 48, 32))  # the middle half is black
    crop, pad, stretch = (
        np.asarray(fit_picture(wide, Fit(16, name, (255, 0, 0))))
        for name in ("crop", "pad", "stretch")
    )
    assert crop[8, 1:-1].max() == 0
    assert pad[0].tolist() == pad[-1].tolist() == [[255, 0, 0]] * 16
    assert pad[8, 0].tolist() == [255, 255, 255] and pad[8, 8].tolist() == [0, 0, 0]
    assert stretch[0, 0].tolist() == [255, 255, 255] and stretch[0, 8].tolist() == [0, 0, 0]
    assert {a.shape for a in (crop, pad, stretch)} == {(16, 16, 3)}


def test_data_of_constant_pictures_is_refused_and_names_a_file(tmp_path: Path) -> None:
    for name, color in (("a", 10), ("b", 200)):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("L", (12, 12), color + i).save(tmp_path / name / f"{i}.png")
    options = ImageFolderOptions(path=str(tmp_path))
    with pytest.raises(InputError, match=r"a/\d.png and all others: every image is of one color"):
        load_imagefolder(options)
    GRAY.save(tmp_path / "a" / "0.png")
    GRAY.save(tmp_path / "a" / "1.png")
    assert len(load_imagefolder(options).train) == 4
