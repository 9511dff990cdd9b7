"""The animated picture of the first page: a small I-JEPA learns, and each frame shows how far it has come.

    python tools/animation.py                      writes docs/learning.gif, in about five minutes on one core
    python tools/animation.py --data shapeworld --steps 20 --frames 3 --out small.gif

Each number and colour is measured in that run, on images that it does not train on. The first frame shows the end of
the run, so that the picture makes sense where it does not move; then the frames go from the randomly initialised model
to that end. The program prints the command with all its settings and what it measured, and the file carries both as a
comment.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file is written; no window is needed

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from minijepa import plots  # noqa: E402
from minijepa.datasets import load  # noqa: E402
from minijepa.probes import KNNDuring, knn_probe, raw_pixels  # noqa: E402
from minijepa.training import fit, recipe  # noqa: E402
from minijepa.vit import eval_mode  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (1, 5, 7)  # which held-out images
LABELLED, SCORED = 4_000, 1_000  # training images whose labels the kNN probe reads; held-out images that it classifies
COLOURED = 256  # held-out images over which the principal components of embeddings are taken
FIRST, EACH = 2_500, 320  # milliseconds that the first frame stays, and any other
SIZE, DPI = (8.0, 4.3), 100  # 800 x 430 pixels
HIDDEN = (0.88, 0.88, 0.88)  # the grey of what is not shown
# Colours of two numbers in [0, 1]: dark to light, and blue to orange, which colour-blind readers can tell apart too
CORNERS = np.array([[(8, 48, 107), (115, 45, 10)], [(180, 215, 240), (255, 205, 140)]]) / 255  # [2, 2, 3]


@dataclass
class Snapshot:
    """The model after some steps. knn: accuracy in [0, 1]; tokens: target embeddings of COLOURED images, [B, N, D];
    predicted: what the model expects at the target patches of the SHOWN images, [3, K_t, D]."""

    step: int
    knn: float
    tokens: torch.Tensor
    predicted: torch.Tensor


class Watch:
    """A callback for `fit`: it takes a `Snapshot` at some steps. masks: of the SHOWN images; at: the steps."""

    def __init__(self, probe, heldout, masks, at):
        self.probe, self.masks, self.at, self.taken = probe, masks, set(at), []
        self.many, self.few = heldout.batch(slice(COLOURED)), heldout.batch(SHOWN)  # [B, 3, H, W]

    def __call__(self, step, model, row):
        if step in self.at:
            with eval_mode(model), torch.no_grad():
                _, predicted = model.predict(self.few, self.masks)  # [3, 1, K_t, D]
                tokens = model.teacher(self.many)  # [B, N, D]
            self.taken.append(Snapshot(step, self.probe.score(model.target_encoder), tokens, predicted[:, 0]))


def snapshot_steps(steps, frames):
    """At which steps: 0, then in growing distances, since most is learned early, up to the last."""
    return sorted({round(steps * (i / (frames - 1)) ** 1.6) for i in range(frames)})


def record(data, steps, frames, seed):
    """Train, and return (held-out data, masks of the SHOWN images, the snapshots, {baseline: kNN accuracy})."""
    train, heldout = load(data)
    labelled, scored = train.subset(slice(LABELLED)), heldout.subset(slice(SCORED))
    masks = recipe.masks(len(SHOWN), torch.Generator().manual_seed(4))
    model = recipe.build(seed=seed)
    watch = Watch(KNNDuring(labelled, scored, every=1), heldout, masks, snapshot_steps(steps, frames))
    watch(0, model, {})
    fit(model, train, recipe.masks, **recipe.TRAINING, steps=steps, seed=seed, callbacks=[watch])
    raw = knn_probe(raw_pixels(labelled), labelled.labels, raw_pixels(scored), scored.labels)
    levels = {"raw pixels": raw, "random-init": watch.taken[0].knn, "chance": 1 / len(train.classes)}
    return heldout, masks, watch.taken, levels


def colours(snapshots, positions):
    """Two principal components of each snapshot's target embeddings, as colours.

    The mean over images is subtracted at each patch position, so what remains differs from image to image. Principal
    components may turn and flip from one snapshot to the next: each snapshot's are rotated towards those of the next.

    positions: the target patches of the SHOWN images, [3, K_t].
    Returns a list of (target, predicted), colours [3, K_t, 3] each.
    """
    found, after = [], None
    for each in reversed(snapshots):
        mean = each.tokens.mean(dim=0)  # [N, D]
        rest = each.tokens - mean  # [B, N, D]
        flat = rest.flatten(0, 1)  # [B * N, D]
        _, directions = torch.linalg.eigh(flat.T @ flat)  # in ascending order
        directions = directions[:, -2:].flip(1)  # [D, 2]
        if after is not None:  # the orthogonal matrix that takes these coordinates closest to the others (Procrustes)
            u, _, v = torch.linalg.svd((flat @ directions).T @ after)
            directions = directions @ u @ v
        after = flat @ directions
        low, high = after.quantile(0.1, dim=0), after.quantile(0.9, dim=0)  # [2] each
        pair = []
        for values in (rest[list(SHOWN)].gather(1, positions[..., None].expand(-1, -1, rest.shape[2])),
                       each.predicted - mean[positions]):  # [3, K_t, D] each  # fmt: skip
            pair.append(two_colours(((values @ directions - low) / (high - low)).clamp(0, 1).numpy()))
        found.append(pair)
    return found[::-1]


def two_colours(x):
    """Numbers in [0, 1], [..., 2], as colours [..., 3], interpolated between CORNERS."""
    light, warm = x[..., :1], x[..., 1:]
    dark, bright = (CORNERS[i, 0] * (1 - warm) + CORNERS[i, 1] * warm for i in (0, 1))
    return dark * (1 - light) + bright * light


def on_grid(colour, positions):
    """Colours of some patches in their places. colour: [K_t, 3]; positions: [K_t]. Returns [rows, columns, 3]."""
    picture = np.tile(np.array(HIDDEN), (recipe.GRID[0] * recipe.GRID[1], 1))
    picture[positions.numpy()] = colour
    return picture.reshape(*recipe.GRID, 3)


def draw(data, masks, snapshots, levels, coloured, now):
    """One frame as a PIL image: images and embeddings on the left, the curve up to snapshot number `now` on the right.

    data: held out. levels: {baseline: accuracy}. coloured: of `colours`.
    """
    fig = plots.plt.figure(figsize=SIZE, dpi=DPI, facecolor="white")
    grid = fig.add_gridspec(3, 4, left=0.015, right=0.565, top=0.77, bottom=0.1, wspace=0.06, hspace=0.06)
    names = ["image", "what the\nencoder sees", "predicted\nembeddings", "target\nembeddings"]
    target, predicted = coloured[now]
    for row, number in enumerate(SHOWN):
        image, asked = data.images[number], masks.targets[row, 0]
        seen = plots.patch_mask(masks.context[row], recipe.GRID, image.shape[1:])
        grey = torch.full_like(image, round(255 * HIDDEN[0]))
        pictures = [plots.to_numpy(image), plots.to_numpy(torch.where(seen, image, grey))]
        pictures += [on_grid(each[row], asked) for each in (predicted, target)]
        for column, (picture, name) in enumerate(zip(pictures, names, strict=True)):
            ax = fig.add_subplot(grid[row, column])
            ax.imshow(picture, extent=(0, recipe.GRID[1], recipe.GRID[0], 0))
            ax.set(xticks=[], yticks=[])
            outline(ax, asked)
            if row == 0:
                ax.set_title(name, fontsize=11)
    fig.text(0.29, 0.95, "A JEPA predicts embeddings of what is hidden,", ha="center", fontsize=12, weight="bold")
    fig.text(0.29, 0.03, "similar colours: similar embeddings", ha="center", fontsize=11)
    accuracy(fig.add_axes((0.635, 0.155, 0.345, 0.68)), snapshots, levels, now)
    fig.text(0.805, 0.95, "and learns useful features", ha="center", fontsize=12, weight="bold")
    fig.text(0.805, 0.88, "kNN accuracy, no labels in training", ha="center", fontsize=11)
    fig.canvas.draw()
    picture = Image.fromarray(np.asarray(fig.canvas.buffer_rgba())[..., :3])
    plots.plt.close(fig)
    return picture


def outline(ax, asked):
    """A frame around the block to predict. ax: its units are patches; asked: its patches, indices [K_t]."""
    rows, columns = asked // recipe.GRID[1], asked % recipe.GRID[1]
    corner = (int(columns.min()), int(rows.min()))
    size = (int(columns.max()) + 1 - corner[0], int(rows.max()) + 1 - corner[1])
    ax.add_patch(plots.plt.Rectangle(corner, *size, fill=False, edgecolor=plots.RED, lw=2.5))


def accuracy(ax, snapshots, levels, now):
    """The kNN accuracy of the model up to snapshot number `now`, over the steps, and lines for the baselines."""
    steps, knn = [s.step for s in snapshots[: now + 1]], [s.knn for s in snapshots[: now + 1]]
    end = snapshots[-1].step
    looks = {"raw pixels": (plots.GREY, "--"), "random-init": (plots.RED, "-."), "chance": ("black", ":")}
    for name, level in levels.items():
        colour, style = looks[name]
        ax.axhline(level, color=colour, ls=style, lw=1.5)
        ax.text(end, level - 0.006, f"{name} {level:.2f}", ha="right", va="top", color=colour, fontsize=11)
    ax.plot(steps, knn, color=plots.BLUE, lw=2.5)
    ax.plot(steps[-1], knn[-1], "o", color=plots.BLUE, ms=8)
    side = "right" if steps[-1] > 0.6 * end else "left"
    ax.annotate(
        f"I-JEPA {knn[-1]:.2f}", (steps[-1], max(knn[-4:])), (0, 9), textcoords="offset points",
        ha=side, color=plots.BLUE, fontsize=13, weight="bold",
    )  # fmt: skip
    ax.set(xlim=(-0.03 * end, 1.03 * end), ylim=(0, 1.18 * max(*(s.knn for s in snapshots), *levels.values())))
    ax.set_xlabel(f"training step {steps[-1]:,} of {end:,}", fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)


def write(pictures, path, comment=""):
    """The pictures as an animation that repeats, the last one first. All frames share one palette, or it would flicker.

    pictures: PIL images in order of time. comment: a text that the file carries.
    """
    pictures = [pictures[-1], *pictures[:-1]]
    few = pictures[:: max(1, len(pictures) // 6)]
    width, height = few[0].size
    sheet = Image.new("RGB", (width, height * len(few)))
    for i, each in enumerate(few):
        sheet.paste(each, (0, i * height))
    values = np.array(sheet.quantize(256, dither=Image.Dither.NONE).getpalette()).reshape(-1, 3)
    values[(values > 247).all(axis=1)] = 255  # else Pillow takes an almost white for white
    palette = Image.new("P", (1, 1))
    palette.putpalette(values.flatten().tolist())
    first, *rest = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    durations = [FIRST] + [EACH] * len(rest)
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, comment=comment)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10", choices=["cifar10", "shapeworld"])
    parser.add_argument("--steps", type=int, default=1000, help="of training")
    parser.add_argument("--frames", type=int, default=21, help="at least 2; fewer if there are not so many steps")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches, crops and masks")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "learning.gif")
    a = parser.parse_args(argv)
    if a.frames < 2 or a.steps < 1:
        parser.error(f"--frames must be at least 2 and --steps at least 1, got {a.frames} and {a.steps}")
    command = f"python tools/animation.py --data {a.data} --steps {a.steps} --frames {a.frames} --seed {a.seed}"
    print(command, flush=True)
    data, masks, snapshots, levels = record(a.data, a.steps, a.frames, a.seed)
    coloured = colours(snapshots, masks.targets[:, 0])
    pictures = [draw(data, masks, snapshots, levels, coloured, now) for now in range(len(snapshots))]
    numbers = {"I-JEPA": snapshots[-1].knn, **levels}
    measured = "kNN accuracy: " + ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
    write(pictures, a.out, f"{command}\n{measured}")  # so that the file says where it comes from
    print(measured)
    print(f"written: {a.out}, {len(pictures)} frames, {a.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
