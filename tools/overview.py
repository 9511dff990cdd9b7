"""The README's figure, drawn from a run: masks -> embeddings -> probe.

    python tools/overview.py runs/cifar10-seed0     a folder that `python -m minijepa.train` wrote

It draws three held-out images, what the context encoder sees of each, the block to predict, the first three principal
components of the learned patch tokens, and the kNN accuracies from the run's metrics.json, into docs/overview.png.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from safetensors.torch import load_file

from minijepa import plots
from minijepa.datasets import load
from minijepa.training import recipe

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    encoder = recipe.build(metrics["recipe"]["size"]).encoder
    encoder.load_state_dict(load_file(run / "encoder.safetensors"))
    _, heldout = load("cifar10")
    many = heldout.subset(slice(0, 64))
    with torch.no_grad():
        colours = plots.principal_colours(encoder.eval()(many.batch()))  # [64, N, 3]
    masks = recipe.masks(3, torch.Generator().manual_seed(4))

    fig = plt.figure(figsize=(11, 4.2))
    left = fig.add_gridspec(3, 4, left=0.01, right=0.5, top=0.86, bottom=0.03, wspace=0.06, hspace=0.06)
    for row, number in enumerate((1, 5, 7)):
        image = many.images[number]
        seen = plots.patch_mask(masks.context[row], recipe.GRID, (32, 32))
        asked = plots.patch_mask(masks.targets[row, 0], recipe.GRID, (32, 32))
        blank = torch.full_like(image, 225)
        panels = [image, torch.where(seen, image, blank), torch.where(asked, image, blank)]
        pictures = [plots.to_numpy(panel) for panel in panels] + [colours[number].view(*recipe.GRID, 3).numpy()]
        names = ["image", "context: seen", "target: predicted", "learned tokens"]
        for column, (picture, name) in enumerate(zip(pictures, names, strict=True)):
            ax = fig.add_subplot(left[row, column])
            ax.imshow(picture)
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(name, fontsize=10)
    ax = fig.add_axes((0.6, 0.14, 0.38, 0.72))
    arms = {name: row["kNN"] for name, row in metrics["probes"].items()}
    bars = ax.bar(list(arms), list(arms.values()), color=[plots.GREY, plots.ORANGE, plots.BLUE], width=0.6)
    ax.bar_label(bars, fmt="%.2f")
    ax.axhline(metrics["data"]["chance"], color="black", ls=":", lw=1)
    ax.text(2.4, metrics["data"]["chance"] + 0.006, "chance", ha="right", fontsize=8)
    ax.set(
        ylabel="accuracy",
        title=f"kNN probe after {metrics['seconds'] / 60:.1f} minutes, no labels in training",
    )
    ax.spines[["top", "right"]].set_visible(False)
    fig.text(0.255, 0.945, "masks → embeddings", ha="center", fontsize=12, weight="bold")
    fig.text(0.79, 0.945, "→ probe", ha="center", fontsize=12, weight="bold")
    out = ROOT / "docs" / "overview.png"
    out.parent.mkdir(exist_ok=True)
    fig.savefig(out, dpi=100, facecolor="white")
    print(f"written: {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
