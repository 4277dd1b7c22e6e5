"""Contact sheets, for looking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def save_grid(pictures: Sequence[np.ndarray], path: Path, columns: int = 8, size: int = 176) -> None:
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * size, rows * size), "white")
    for k, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS), ((k % columns) * size, (k // columns) * size))
    sheet.save(path)
