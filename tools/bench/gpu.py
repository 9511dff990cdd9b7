"""Two measurements that need a GPU: what keeping the data there gains, and how much of its peak a ViT-S/16 reaches.

    python tools/bench/gpu.py [--seconds 10] [--out runs/bench_gpu.json]      (or: make bench-gpu)
    python tools/bench/gpu.py --device cpu --tiny                             the same program on small sizes

1. The recipe (32 px) with the images on the device, against the same model and steps fed by a DataLoader, whose worker
   processes read, crop and flip image files (LoaderData). Aim: 5 times the images/s.
2. ViT-S/16 at 224 px in bfloat16 with the images on the device, at increasing batch sizes, plain and compiled. Aim:
   35 % of the measured peak of bfloat16 matrix products at the best batch size.
Both run `minijepa.fit` unchanged. The JSON states hardware and date.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from steps import step_flops

from minijepa import JEPA, Predictor, ViT, block_masks, crop_flip, fit, shapeworld
from minijepa.datasets.images import ImageData
from minijepa.datasets.loader import LoaderData
from minijepa.train import hardware
from minijepa.training import recipe


@dataclass(frozen=True)
class Sizes:
    """What is measured. batches: in rising order; side: of the images of part 2, in pixels; matrix: for the peak."""

    images: int = 8192
    loader_batch: int = 256
    workers: int = min(16, os.cpu_count() or 1)
    size: str = "small"
    side: int = 224
    patch: int = 16
    batches: tuple = (64, 128, 256, 512)
    matrix: int = 8192
    precision: str = "bfloat16"
    compiled: tuple = (False, True)


TINY = Sizes(64, 16, 1, "nano", 32, 4, (8, 16), 128, "bfloat16", (False,))


def synchronise(device):
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def images_per_second(model, data, masks, seconds, device, **settings):
    """The speed of `fit` after its warm-up: (images/s, the device's peak memory in MB). settings: for `fit`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    warm, times, limit = 5, [], 10_000

    class Enough(Exception):
        """Enough steps were timed."""

    def note(step, model, row):
        synchronise(device)
        times.append(time.perf_counter())
        if len(times) > warm + 3 and times[-1] - times[warm] > seconds:
            raise Enough

    try:
        fit(model, data, masks, **settings, steps=limit, device=device, callbacks=[note])
    except Enough:
        pass
    memory = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
    return settings["batch_size"] * (len(times) - 1 - warm) / (times[-1] - times[warm]), memory


def matmul_peak(side, dtype, device, seconds):
    """Operations per second of a product of two square matrices, the best of ten rounds."""
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    best, count = 0.0, 3
    for _ in range(10):
        synchronise(device)
        start = time.perf_counter()
        for _ in range(count):
            a @ b
        synchronise(device)
        spent = time.perf_counter() - start
        best, count = max(best, 2 * side**3 * count / spent), max(3, round(seconds / 10 * count / spent))
    return best


def write_folder(data, folder):
    """Write the images as files, like a data set on a disk."""
    for i, image in enumerate(data.images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(Path(folder) / f"{i:06d}.png")  # [H, W, 3]


def resident_against_loader(sizes, device, seconds):
    """Part 1: images/s of the recipe with the images on the device, and with files read by worker processes."""
    data = shapeworld(sizes.images, seed=0)
    settings = {**recipe.TRAINING, "batch_size": sizes.loader_batch, "precision": sizes.precision}
    rates = {}
    rates["on the device"], _ = images_per_second(
        recipe.build(), data.to(device), recipe.masks, seconds, device, **settings
    )
    with tempfile.TemporaryDirectory() as folder:
        write_folder(data, folder)
        loader = LoaderData(folder, size=32, workers=sizes.workers, mean=data.mean, std=data.std)
        settings["augment"] = None  # the workers crop and flip
        rates["DataLoader"], _ = images_per_second(recipe.build(), loader, recipe.masks, seconds, device, **settings)
        loader.done()
    return {**rates, "ratio": rates["on the device"] / rates["DataLoader"], "workers": sizes.workers}


def share_of_peak(sizes, device, seconds):
    """Part 2: a row per batch size, plain and compiled; it ends with the first batch that does not fit into memory."""
    torch.manual_seed(0)
    side, grid = sizes.side, (sizes.side // sizes.patch,) * 2
    n = grid[0] * grid[1]
    pixels = torch.randint(0, 256, (max(sizes.batches) * 2, 3, side, side), dtype=torch.uint8)
    data = ImageData(pixels, torch.zeros(len(pixels), dtype=torch.int64), ("noise",), "noise", (0.5,) * 3, (0.25,) * 3)
    # I-JEPA's four targets and large context, of fixed lengths, so that one compiled program serves all steps
    masks = partial(draw_masks, grid, n // 8, n // 3)
    peak, rows = matmul_peak(sizes.matrix, torch.bfloat16, device, seconds / 4), []
    data = data.to(device)
    for compiled in sizes.compiled:
        for batch in sizes.batches:
            encoder = ViT.size(sizes.size, img_size=side, patch_size=sizes.patch)
            model = JEPA(encoder, Predictor(encoder.dim, grid, width=encoder.dim // 2, depth=6, heads=6))
            flops = step_flops(model, lambda b: masks(b, None), (3, side, side), 2, draws=1)
            settings = {"batch_size": batch, "precision": sizes.precision, "augment": crop_flip, "compile": compiled}
            try:
                rate, memory = images_per_second(model, data, masks, seconds, device, **settings)
            except torch.OutOfMemoryError:
                break
            rows.append({"batch": batch, "compiled": compiled, "images_per_s": rate, "peak_memory_mb": memory,
                         "flops_per_image": flops, "share_of_peak": rate * flops / peak})  # fmt: skip
    return {"peak_flops_per_s": peak, "size": sizes.size, "rows": rows}


def draw_masks(grid, target_keep, context_keep, batch, generator):
    """Four targets and a context, all of fixed length."""
    return block_masks(batch, grid, target_keep=target_keep, context_keep=context_keep, generator=generator)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds per measurement (default 10)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to check that the program works")
    parser.add_argument("--out", type=Path, default=Path("runs/bench_gpu.json"))
    arguments = parser.parse_args(argv)
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("no CUDA device was found; use --device cpu --tiny to check on a CPU that the program works")
    device, sizes = torch.device(arguments.device), TINY if arguments.tiny else Sizes()
    if not shutil.which("g++"):
        sizes = replace(sizes, compiled=(False,))
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(device),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "feeding": resident_against_loader(sizes, device, arguments.seconds),
        "peak": share_of_peak(sizes, device, arguments.seconds),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    feeding, peak = result["feeding"], result["peak"]
    print(f"recipe: {feeding['on the device']:,.0f} images/s from the device, {feeding['DataLoader']:,.0f} from a "
          f"DataLoader with {feeding['workers']} workers: {feeding['ratio']:.1f}x (aim: 5)")  # fmt: skip
    print(f"ViT-{peak['size']}, bfloat16 peak {peak['peak_flops_per_s'] / 1e12:.3g} TFLOP/s (aim: 35 % of it)")
    for row in peak["rows"]:
        kind = "compiled" if row["compiled"] else "plain"
        print(f"batch {row['batch']:>4}, {kind:<9}{row['images_per_s']:>9,.0f} images/s {row['share_of_peak']:>6.1%}")
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
