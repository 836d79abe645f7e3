"""Made-up pictures: a landscape that depends on a text and a seed, so that a demo has something to show."""

from __future__ import annotations

import colorsys
import hashlib
import io
import itertools
import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]

PALETTES = {  # hue of the sky, hue of the land, how light the sky is
    ("night", "moon", "star", "dark", "midnight"): (0.63, 0.60, 0.22),
    ("sunset", "sunrise", "dawn", "dusk", "fire", "autumn"): (0.05, 0.95, 0.72),
    ("forest", "wood", "tree", "garden", "jungle", "meadow"): (0.50, 0.33, 0.78),
    ("sea", "ocean", "beach", "coast", "lake", "river", "ship"): (0.54, 0.57, 0.80),
    ("desert", "sand", "dune", "canyon"): (0.10, 0.07, 0.85),
    ("snow", "winter", "ice", "mountain", "glacier"): (0.57, 0.61, 0.88),
    ("flower", "spring", "candy", "dream", "purple", "galaxy"): (0.85, 0.75, 0.75),
}


def draw(width: int, height: int, *, text: str, seed: int) -> Image.Image:
    """The same text and seed give the same picture."""
    rng = random.Random(hashlib.sha256(f"{seed}\n{text}".encode()).digest())  # noqa: S311 - it draws pictures
    sky, land, light = _palette(text, rng)
    picture = _sky(width, height, sky, light, rng)
    if light < 0.4:
        _stars(picture, rng)
    _sun(picture, sky, light, rng)
    layers = rng.randint(3, 5)
    for layer in range(layers):
        depth = (layer + 1) / layers
        _ridge(
            picture,
            _colour(land + rng.uniform(-0.03, 0.03), 0.25 + 0.35 * depth, light * (0.85 - 0.7 * depth) + 0.06),
            depth,
            rng,
        )
    return picture


def preview(*, text: str, seed: int, share: float) -> bytes:
    """A small JPEG of the picture as it comes out of the fog; ``share`` is how much of it is done."""
    picture = draw(128, 128, text=text, seed=seed).filter(ImageFilter.GaussianBlur(12 * (1 - share)))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _palette(text: str, rng: random.Random) -> tuple[float, float, float]:
    lowered = text.lower()
    for words, palette in PALETTES.items():
        if any(word in lowered for word in words):
            return palette
    hue = rng.random()
    return hue, hue + rng.uniform(0.3, 0.6), rng.uniform(0.55, 0.85)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1, saturation), min(1, max(0, value)))
    return int(red * 255), int(green * 255), int(blue * 255)


def _sky(width: int, height: int, hue: float, light: float, rng: random.Random) -> Image.Image:
    """A few coloured pixels, blown up until they are clouds of colour."""
    small = Image.new("RGB", (4, 5))
    for y in range(5):
        for x in range(4):
            shade = light * (0.75 + 0.08 * y) + rng.uniform(-0.04, 0.04)
            small.putpixel((x, y), _colour(hue + rng.uniform(-0.04, 0.04), 0.75 - 0.13 * y, shade))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _stars(picture: Image.Image, rng: random.Random) -> None:
    pen = ImageDraw.Draw(picture)
    for _ in range(max(8, picture.width * picture.height // 4000)):
        x, y = rng.randrange(picture.width), rng.randrange(max(1, int(picture.height * 0.6)))
        pen.ellipse(
            (x, y, x + rng.randint(0, 1), y + rng.randint(0, 1)), fill=_colour(rng.random(), 0.15, rng.uniform(0.6, 1))
        )


def _sun(picture: Image.Image, hue: float, light: float, rng: random.Random) -> None:
    """A disc with a halo; the halo is blurred small, since a blur costs by the pixel."""
    width, height = picture.size
    radius = min(width, height) * rng.uniform(0.07, 0.13)
    x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.18, 0.42)
    small = (max(1, width // 8), max(1, height // 8))
    halo = Image.new("L", small, 0)
    reach = radius * 1.9 / 8
    ImageDraw.Draw(halo).ellipse((x / 8 - reach, y / 8 - reach, x / 8 + reach, y / 8 + reach), fill=150)
    halo = halo.filter(ImageFilter.GaussianBlur(max(1, reach / 2))).resize((width, height), Image.Resampling.BICUBIC)
    disc = _colour(0.12 if light > 0.4 else hue, 0.18, 1)
    picture.paste(disc, (0, 0), halo)
    _fill(
        picture,
        disc,
        lambda pen, k: pen.ellipse([k * n for n in (x - radius, y - radius, x + radius, y + radius)], 255),
    )


def _ridge(picture: Image.Image, colour: Colour, depth: float, rng: random.Random) -> None:
    """One line of hills, rougher the further away it is."""
    width, height = picture.size
    heights = [rng.uniform(-1, 1), rng.uniform(-1, 1)]
    roughness = 0.9 - 0.35 * depth
    spread = 1.0
    while len(heights) < 65:
        spread *= roughness * 0.72
        between = [(a + b) / 2 + rng.uniform(-spread, spread) for a, b in itertools.pairwise(heights)]
        heights = [value for pair in zip(heights, between, strict=False) for value in pair] + heights[-1:]
    base = height * (0.45 + 0.42 * depth)
    step = width / (len(heights) - 1)
    line = [(index * step, base - value * height * 0.09) for index, value in enumerate(heights)]
    outline = [*line, (width, height), (0, height)]
    _fill(picture, colour, lambda pen, k: pen.polygon([(k * x, k * y) for x, y in outline], 255))


def _fill(picture: Image.Image, colour: Colour, draw_shape: Callable[[ImageDraw.ImageDraw, int], None]) -> None:
    """A shape with smooth edges: ``draw_shape`` gets a pen for a sheet that is twice as large."""
    sheet = Image.new("L", (picture.width * 2, picture.height * 2), 0)
    draw_shape(ImageDraw.Draw(sheet), 2)
    picture.paste(colour, (0, 0), sheet.reduce(2))
