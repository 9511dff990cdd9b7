"""Speed of one I-JEPA training step and of mask sampling: this package beside a plain textbook loop, in one run.

    python tools/bench.py [--seconds 8] [--out bench.json]        (or: make bench)

Both arms do the same arithmetic on the same sizes (width 192, 6 blocks, predictor 96 x 3, 64 images of 32 px, 4
targets of 3x4 patches, 7 context patches). The textbook loop is what one writes first: masks image by image as
published, every patch embedded before masking, the predictor called once per target block, the teacher updated tensor
by tensor. "compiled" is ours under torch.compile, as `fit(..., compile=True)` runs it.
The samplers alone are timed in calls for 1,024 images. Each arm runs in a process of its own, the arms take turns, and
the best of three rounds counts.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from minijepa import JEPA, Masks, Predictor, ViT, block_masks, gather_tokens
from minijepa.process import keep_freed_memory
from minijepa.training import make_optimizers

MASKS = 1024  # images per call when the samplers alone are timed
BATCH, GRID, SIZE, N_TARGETS, CONTEXT = 64, (8, 8), (3, 4), 4, 7
SCALE, ASPECT = (12 / 64, 12 / 64), (3 / 4, 3 / 4)  # both exactly: every block is 3 x 4


def build():
    torch.manual_seed(0)
    encoder = ViT(img_size=32, patch_size=4, dim=192, depth=6, heads=3)
    return JEPA(encoder, Predictor(encoder.dim, encoder.grid, width=96, depth=3, heads=3))


def our_masks(batch=BATCH):
    return block_masks(batch, GRID, n_targets=N_TARGETS, target_scale=SCALE, target_aspect=ASPECT, context_keep=CONTEXT)


def textbook_masks(batch=BATCH):
    """Image by image, in the published way: place a block, mark it, collect its patches, reject and place again.

    A context of CONTEXT patches or more must be left, and is cut to that; after 20 tries one more target may
    overlap it. (Our own `published_block_masks` does this with Python sets, for other statistics.)
    """

    def place(size, allowed=None):
        tries = 0
        while True:
            top = torch.randint(0, GRID[0] - size[0], (1,)).item()
            left = torch.randint(0, GRID[1] - size[1], (1,)).item()
            block = torch.zeros(GRID, dtype=torch.int32)
            block[top : top + size[0], left : left + size[1]] = 1
            for region in (allowed or [])[: max(N_TARGETS - tries // 20, 0)]:
                block *= region
            found = torch.nonzero(block.flatten()).squeeze(1)
            if len(found) >= CONTEXT:
                complement = torch.ones(GRID, dtype=torch.int32)
                complement[top : top + size[0], left : left + size[1]] = 0
                return found, complement
            tries += 1

    contexts, targets = [], []
    for _ in range(batch):
        blocks = [place(SIZE) for _ in range(N_TARGETS)]
        targets.append(torch.stack([found for found, _ in blocks]))
        contexts.append(place((GRID[0] - 1, GRID[1] - 1), [region for _, region in blocks])[0])
    return Masks(torch.stack([context[:CONTEXT] for context in contexts]), torch.stack(targets))


def our_step(jepa, optimizer, x, autocast):
    """One training step as `minijepa.training.fit` makes it."""
    optimizer.zero_grad(set_to_none=True)
    masks = our_masks()
    with autocast:
        loss = jepa(x, masks).loss
    loss.backward()
    optimizer.step()
    jepa.update_teacher(0.996)


def textbook_step(jepa, optimizer, x, autocast):
    """The same arithmetic, written plainly."""
    optimizer.zero_grad()
    masks = textbook_masks()
    with autocast:
        with torch.no_grad():
            target = torch.nn.functional.layer_norm(jepa.teacher.encoder(x).float(), (192,))
        tokens = gather_tokens(jepa.encoder.embed(x), masks.context)  # every patch embedded, then most thrown away
        for block in jepa.encoder.blocks:
            tokens = block(tokens)
        context = jepa.encoder.norm(tokens)
        loss = 0.0
        for j in range(N_TARGETS):
            one = masks.targets[:, j]
            prediction = jepa.predictor(context, Masks(masks.context, one[:, None]))[:, 0]
            loss = loss + torch.nn.functional.smooth_l1_loss(prediction.float(), gather_tokens(target, one))
        loss = loss / N_TARGETS
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for old, new in zip(jepa.teacher.encoder.parameters(), jepa.encoder.parameters(), strict=True):
            old.mul_(0.996).add_(new, alpha=0.004)


def rate(function, seconds):
    """Calls per second after three calls to warm up."""
    for _ in range(3):
        function()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        function()
        count += 1
    return count / (time.perf_counter() - start)


def arm(name, seconds):
    """Measure one arm in this process; prints a JSON object."""
    loop, precision = name.split("-")
    if loop == "peak":
        a, b = (torch.randn(1024, 1024).to(getattr(torch, precision)) for _ in range(2))
        print(json.dumps({"flops": 2 * 1024**3 * rate(lambda: a @ b, seconds / 2)}))
        return
    jepa, x = build(), torch.randn(BATCH, 3, 32, 32)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")
    if loop in ("ours", "compiled"):
        keep_freed_memory()
        optimizer, step, masks = make_optimizers(jepa, 1e-3)[0], our_step, our_masks
    else:
        optimizer, step, masks = (
            torch.optim.AdamW([*jepa.encoder.parameters(), *jepa.predictor.parameters()]),
            textbook_step,
            textbook_masks,
        )
    with FlopCounterMode(display=False) as counter:
        step(jepa, optimizer, x, autocast)
    if loop == "compiled":
        jepa.forward = torch.compile(jepa.forward)
    result = {"images": BATCH * rate(lambda: step(jepa, optimizer, x, autocast), seconds)}
    result["masks"] = MASKS * rate(lambda: masks(MASKS), seconds / 4)
    result["flops_per_image"] = counter.get_total_flops() / BATCH
    print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="per measurement (default 8)")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        arm(arguments.arm, arguments.seconds)
        return
    loops = ["peak", "textbook", "ours"]
    if shutil.which("g++") or shutil.which("clang++"):
        loops.append("compiled")
    else:
        print("no C++ compiler found: the compiled step (fit(..., compile=True)) is left out")
    arms = [f"{loop}-{precision}" for loop in loops for precision in ("float32", "bfloat16")]
    best = {name: {} for name in arms}
    for _ in range(3):
        for name in arms:
            command = [sys.executable, __file__, "--arm", name, "--seconds", str(arguments.seconds / 3)]
            measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            best[name] = {k: max(v, best[name].get(k, 0)) for k, v in measured.items()}
    tokens = GRID[0] * GRID[1] + CONTEXT + N_TARGETS * (CONTEXT + SIZE[0] * SIZE[1])  # teacher, context, predictor
    peaks = [best[f"peak-{precision}"]["flops"] / 1e9 for precision in ("float32", "bfloat16")]
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"matmul peak {peaks[0]:.0f} GFLOP/s float32, {peaks[1]:.0f} bfloat16")
    print(f"{'':<20}{'images/s':>10}{'tokens/s':>12}{'of peak':>10}{'masks/s':>12}")
    for name in arms[2:]:
        row = best[name]
        share = row["images"] * row["flops_per_image"] / best[f"peak-{name.split('-')[1]}"]["flops"]
        row.update(tokens=row["images"] * tokens, share_of_peak=share)
        print(f"{name:<20}{row['images']:>10.0f}{row['tokens']:>12,.0f}{share:>10.0%}{row['masks']:>12,.0f}")
    base = best["textbook-float32"]
    for name in arms[4:]:
        print(f"{name}: {best[name]['images'] / base['images']:.2f}x the textbook's float32 images/s, "
              f"{best[name]['masks'] / base['masks']:.0f}x its mask rate")  # fmt: skip
    if arguments.out:
        arguments.out.write_text(json.dumps(best, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
