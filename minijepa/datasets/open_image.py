"""One image file, however it was saved, as the picture that was meant: upright, opaque, 8 bits a channel.

`image_folder`, `LoaderData` and folders of frames all read through `open_image`, so they show the same pixels.
"""

import warnings

import numpy as np

from minijepa.datasets.images import DataCorrupt

SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}


def open_image(path, side=None):
    """Read one image file.

    - It is rotated as the camera's EXIF tag 274 says.
    - Greyscale of 12 or 16 bits is scaled to 8: 0 is black, 2^bits - 1 is white. For floating point, signed and 32-bit
      numbers no white is agreed on; it is taken from the TIFF tags 340 and 341, and without them the image is refused.
    - Transparent pixels lie on white, as on a page: a drawing in black ink stays visible, and the colour that a
      program left under a transparent pixel does not appear.

    path: the file.
    side: the image will be made smaller, its shorter side not below this many pixels. A JPEG is then decoded at a half,
    a quarter or an eighth, as long as both sides keep twice as many (much faster, and the same to within a few grey
    levels). None: at full size.
    Returns a Pillow image, mode RGB. Raises, naming the file, DataCorrupt if it cannot be decoded or has more pixels
    than Pillow accepts, and ValueError for a greyscale image whose white is not known.
    """
    from PIL import Image, ImageOps  # late, for a quick `import minijepa`

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it does not name the file; see below
            file = Image.open(path)
        with file:
            width, height = file.size
            if side is not None:
                file.draft(None, (2 * side, 2 * side))  # does nothing unless it is a JPEG
            levels = black_and_white(file)
            image = ImageOps.exif_transpose(file)
            image.load()
    except Image.DecompressionBombError as error:
        raise DataCorrupt(f"{path}: {error} Put a smaller copy in its place, or take the file out") from error
    except Exception as error:  # Pillow's decoders raise many kinds
        raise DataCorrupt(
            f"{path}: expected an image, found a file that cannot be decoded ({error}); "
            "delete it or replace it by a whole copy"
        ) from error
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        warnings.warn(f"{path} has {width} x {height} pixels; a smaller copy would be read faster", stacklevel=2)
    try:
        return to_rgb(image, levels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def to_rgb(image, levels=None):
    """Any Pillow image as RGB with 8 bits, on white where it is transparent.

    image: a Pillow image [H, W] of any mode.
    levels: the values of black and white; needed only for the modes I;16, I and F, which have more than 8 bits.
    Raises ValueError if they are needed and None, or if Pillow cannot convert the mode.
    """
    from PIL import Image

    if image.mode[0] in "IF":
        if levels is None:
            raise ValueError(
                "expected an image of 8 or 16 bits, found floating-point, signed or 32-bit numbers, and the file does "
                "not say which value is white; save it with 8 or 16 bits"
            )
        black, white = levels
        values = np.asarray(image).astype(np.float64)  # [H, W]
        within = np.nan_to_num(values.clip(min(levels), max(levels)), nan=black)
        grey = (within - black) / (white - black) * 255
        if "transparency" in image.info:  # the one value that means transparent
            grey[values == image.info["transparency"]] = 255
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")
    if image.mode in ("1", "L", "RGB", "YCbCr", "CMYK") and "transparency" not in image.info:
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")


def square(image, size):
    """A Pillow image in RGB, its shorter side resized to `size`, cut to the centre: uint8 [3, size, size]."""
    from torchvision.transforms.v2 import functional as F  # late, as torchvision takes a second to import

    pixels = F.pil_to_tensor(image)  # [3, H, W]
    return F.center_crop(F.resize(pixels, [size], antialias=True), [size, size])


def report_one_colour(images, files, what="images"):
    """Warn of images of a single colour: often a sign of a broken export, and there is nothing to learn from them.

    images: uint8 [N, 3, ...].
    files: where each comes from.
    what: what they are called.
    Raises ValueError if there are several and all are of the same colour.
    """
    pixels = images.flatten(2)  # [N, 3, pixels]
    flat = (pixels.amax(2) == pixels.amin(2)).all(1).nonzero().flatten().tolist()
    if not flat:
        return
    first = f"the first is {files[flat[0]]}; look at the files, and save them again or take them out"
    colours = {tuple(pixels[i, :, 0].tolist()) for i in flat}
    if len(flat) == len(images) > 1 and len(colours) == 1:
        raise ValueError(f"all {len(images)} {what} are of the same colour, {colours.pop()}, and no other; {first}")
    warnings.warn(f"{len(flat)} of {len(images)} {what} show one colour and nothing else; {first}", stacklevel=3)


def black_and_white(file):
    """The values that mean black and white in an open file of deep greyscale; None: the file does not say."""
    if file.format != "TIFF":  # PNG and PGM: Pillow gives 16 bits, whatever the depth in the file
        return (0, 65535) if file.mode != "F" else None

    def tag(number, default):
        value = file.tag_v2.get(number, default)
        return value[0] if isinstance(value, tuple) else value

    bits, kind, photometric = tag(258, 1), tag(339, 1), tag(262, 1)
    unsigned = kind == 1 and bits <= 16
    black, white = (0, 2**bits - 1) if unsigned else (tag(340, 0), tag(341, 0))
    if not black < white:
        return None
    return (white, black) if photometric == 0 else (black, white)  # 0: white is zero
