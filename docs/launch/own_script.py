"""Your own run, in one process or in many: photographs at 224 pixels, which workers read from the disk.

python docs/launch/own_script.py path/to/photographs [steps]
torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=2 docs/launch/own_script.py path/to/photographs [steps]
"""

import sys

import torch

from minijepa import JEPA, Predictor, ViT, block_masks, fit
from minijepa.datasets.loader import LoaderData
from minijepa.training import distributed


def main(path, steps=1000):
    device = distributed.own_device("cuda" if torch.cuda.is_available() else "cpu")
    with distributed.session(device) as team:
        torch.manual_seed(0)  # the same weights in every process
        encoder = ViT.small(img_size=224, patch_size=16)
        predictor = Predictor(encoder.dim, encoder.grid, width=192, depth=6, heads=6)
        model = JEPA(encoder, predictor, weight=0.03)

        def masks(batch, generator):
            return block_masks(batch, encoder.grid, generator=generator)

        half = "bfloat16" if device.type == "cuda" else "float32"
        history = fit(model, LoaderData(path), masks, steps=steps, batch_size=256, lr=1e-3, precision=half,
                      device=device, momentum=(0.996, 1.0), checkpoint="runs/own.pt", resume=True)  # fmt: skip
        if team.rank == 0:
            print(f"loss {history.rows[0]['loss']:.3f} -> {history.rows[-1]['loss']:.3f}")


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:3]))
