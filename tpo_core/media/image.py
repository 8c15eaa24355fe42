"""Pictures, through Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import MediaError
from tpo_core.media.types import Media

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


def decode_image(path: str | Path) -> Media:
    """Read a picture as one RGB frame, upright as its EXIF orientation says.

    Args:
        path: A file in any format Pillow reads.

    Returns:
        Media of kind `"image"`, frames uint8 `[1, 3, H, W]`.

    Raises:
        MediaError: If the file is missing, not a picture, or damaged.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return image_media(picture, source=str(path))
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise MediaError(f"{path} is a folder; expected a picture or a video file") from error
    except PermissionError as error:
        raise MediaError(f"{path} cannot be read; check its permissions") from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{path} is no picture that Pillow can read; it may be empty, corrupt or no picture"
        ) from error
    except Exception as error:  # Pillow's readers raise whatever they stumble over
        raise MediaError(f"{path} cannot be decoded as a picture ({error}); replace it") from error


def image_media(picture: Image.Image, *, source: str = "memory") -> Media:
    """Make a Pillow image a media item of one frame, EXIF orientation applied."""
    import numpy as np
    import torch
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips it to white
        wide = np.asarray(upright).astype(np.int64)
        grey = (wide >> 8 if wide.max(initial=0) > 255 else wide).clip(0, 255).astype(np.uint8)
        rgb = np.repeat(grey[..., None], 3, axis=2)
    else:
        rgb = np.array(upright.convert("RGB"))
    frame = torch.from_numpy(rgb).permute(2, 0, 1).contiguous()[None]
    height, width = frame.shape[-2:]
    return Media(
        kind="image",
        frames=frame,
        times=torch.zeros(1, dtype=torch.float64),
        indices=(0,),
        size=(height, width),
        duration=0.0,
        total_frames=1,
        source=source,
    )
