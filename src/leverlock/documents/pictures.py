"""Pictures: what a document may be, and the picture that is left of it (B38, ASVS 5.2).

A document is judged by its own first bytes and taken only as JPEG or PNG. Nothing of the file that came is kept: the
picture is decoded, turned the way its camera meant it, and written anew from its points alone. So what a camera or a
program put beside the points is gone (EXIF with its place and time, XMP, comments, profiles, previews), and so is
whatever was hung behind or between them. The size is read from the head before a point is decoded.

A PDF is refused. It can hold scripts, attachments and older versions of itself, every reader finds others of them, and
the people who open it are the ones who hold the keys to recovery; a photograph or a screenshot serves as well.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

from PIL import Image, ImageOps

from leverlock.domain.errors import Reason, Refused
from leverlock.domain.recovery_case import PictureType

_MAGIC: Final = {PictureType.JPEG: b"\xff\xd8\xff", PictureType.PNG: b"\x89PNG\r\n\x1a\n"}
_FORMAT: Final = {PictureType.JPEG: "JPEG", PictureType.PNG: "PNG"}
_JPEG_QUALITY: Final = 90
MAX_SIDE: Final = 20_000  # points


def sniffed(data: bytes) -> PictureType:
    """What it is by its first bytes. Raises Refused(NOT_A_DOCUMENT) for anything that is not taken."""
    for picture, magic in _MAGIC.items():
        if data.startswith(magic):
            return picture
    raise Refused(Reason.NOT_A_DOCUMENT, "neither a JPEG nor a PNG picture")


def cleaned(data: bytes, picture: PictureType, *, most_points: int) -> bytes:
    """The picture alone, in the same format. Raises Refused(NOT_A_DOCUMENT) for one that is broken or too large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=[_FORMAT[picture]]) as found:
                width, height = found.size
                if width * height > most_points or max(width, height) > MAX_SIDE:
                    raise Refused(Reason.NOT_A_DOCUMENT, f"a picture has at most {most_points} points")
                found.load()
                points = _points(ImageOps.exif_transpose(found))
    except Refused:
        raise
    except Exception as problem:  # a parser of foreign bytes: whatever it says, the picture is not taken
        raise Refused(Reason.NOT_A_DOCUMENT, "the picture cannot be read") from problem
    out = io.BytesIO()
    if picture is PictureType.JPEG:
        points.save(out, "JPEG", quality=_JPEG_QUALITY)
    else:
        points.save(out, "PNG")
    return out.getvalue()


def _points(image: Image.Image) -> Image.Image:
    """A new image with the same points and nothing else; what is transparent lies on white."""
    if image.mode != "L":
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.new("RGB", layer.size, "white")
            image.paste(layer, mask=layer.getchannel("A"))
        image = image.convert("RGB")
    return Image.frombytes(image.mode, image.size, image.tobytes())
