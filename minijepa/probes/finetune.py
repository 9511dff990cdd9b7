"""Fine-tuning: the encoder is trained too. From a randomly initialised encoder this is plain supervised training."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.training.batches import BatchOrder
from minijepa.training.optimizers import decay_groups, warmup_cosine
from minijepa.training.progress import deferred_interrupt, progress_bar
from minijepa.vit import init_weights, pool


def fine_tune(encoder, train, test, *, steps=300, batch_size=32, lr=1e-3, augment=None, seed=0):
    """Train encoder and linear head together on labels; (accuracy in [0, 1] on the test images, the tuned encoder).

    This is no probe of frozen features: it asks how good an initialisation the encoder is. Compare it with the same
    training from a randomly initialised encoder. AdamW with weight decay 0.05; a tenth of the steps is warm-up, then
    the learning rate follows a cosine. Ctrl-C ends the training after the step at hand.

    encoder: a ViT; it is copied and stays as it is.
    train, test: ImageData with images [N, C, H, W] and labels [N].
    lr: the highest learning rate.
    augment: function (x, generator) -> x of a batch [B, C, H, W], or None.
    """
    encoder = copy.deepcopy(encoder).requires_grad_(True).train()  # a target encoder comes with its gradients off
    device = next(encoder.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.LayerNorm(encoder.dim), nn.Linear(encoder.dim, len(train.classes))).apply(init_weights)
    head.to(device)
    learned = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(decay_groups(learned), lr=lr, weight_decay=0.05)
    order = BatchOrder(len(train), min(batch_size, len(train)), seed)
    with deferred_interrupt() as interrupt, progress_bar("fine-tuning", steps) as bar:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = warmup_cosine(step, steps, lr, 0.1)
            index = order.batch(step)
            x = train.batch(index, device)  # [B, C, H, W]
            if augment is not None:
                x = augment(x, torch.Generator().manual_seed(seed * 1_000_003 + step))
            loss = F.cross_entropy(head(pool(encoder(x))), train.labels[index].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            bar.update()
            if interrupt.is_set():
                break
    encoder.eval()
    with torch.no_grad():
        right = 0
        for index in torch.arange(len(test)).split(200):
            answer = head(pool(encoder(test.batch(index, device)))).argmax(dim=1).cpu()  # [B]
            right += int((answer == test.labels[index]).sum())
    return right / len(test), encoder
