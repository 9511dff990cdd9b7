"""All measures of `minijepa.collapse` at once, a verdict in words, and a callback that records them during training.

    complete     every image gives the same tokens, and these are the same everywhere
    positional   a token says where it is, and nothing of what is there
    dimensional  images differ, in a handful of directions only
    healthy      none of the three. That is not "good": whether the features are of use, only a probe can say
Read them in this order: a number further down means nothing while one above it is dead.
"""

from dataclasses import dataclass

import torch

from minijepa import collapse
from minijepa.vit import eval_mode, pool

DEAD_STD = 0.1  # below this deviation, where a LayerNorm makes 1 the natural scale, something no longer varies
LEAST_CONTENT = 0.02  # an encoder at initialisation has several times this share
LEAST_RANK = 0.04  # of the D dimensions, and never fewer than 2.5: two directions are a collapse in any width


@dataclass
class Diagnosis:
    """The measures of one batch, in the order in which to read them; formulas stand in `minijepa.collapse`.

    position_std, content_share: do tokens differ between images? token_std: V-JEPA's own, for comparison.
    rankme, rankme_centred, alpha, covariance, spectrum: how the pooled features use their D dimensions. rankme is as
    published; all others take the mean over images away first.
    uniformity, alignment, lidar: on the sphere, and between views of one image (None where there were no views).
    """

    position_std: float
    content_share: float
    token_std: float
    rankme: float
    rankme_centred: float
    alpha: float
    covariance: float
    uniformity: float
    alignment: float | None
    lidar: float | None
    spectrum: torch.Tensor

    @property
    def verdict(self):
        """One word, by three thresholds in this order (they suit tokens that come out of a LayerNorm).

        "complete": position_std and token_std below .1. "positional": position_std below .1, or content_share below
        .02. "dimensional": rankme_centred below 4 % of D, or below 2.5 (not rankme, which is low for any features
        with a large mean). Else "healthy".
        """
        if self.position_std < DEAD_STD and self.token_std < DEAD_STD:
            return "complete"
        if self.position_std < DEAD_STD or self.content_share < LEAST_CONTENT:
            return "positional"
        return "dimensional" if self.rankme_centred < self.least_rank else "healthy"

    @property
    def least_rank(self):
        """The centred RankMe below which a collapse is called dimensional."""
        return max(2.5, LEAST_RANK * len(self.spectrum))

    def numbers(self):
        """The measures that are single numbers, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, float)}

    def __str__(self):
        what = {
            "complete": f"all tokens are alike: position_std and token_std are below {DEAD_STD}",
            "positional": f"tokens say where they are, not what is there: position_std is below {DEAD_STD} or "
            f"content_share below {LEAST_CONTENT}",
            "dimensional": f"images differ in a few directions only: rankme_centred is below {self.least_rank:.1f}",
            "healthy": "no collapse found; whether the features are of use, only a probe can say",
        }
        return f"{self.verdict}: {what[self.verdict]}"


def diagnose_tokens(tokens, views=None):
    """The Diagnosis of tokens at hand. tokens: [B, N, D]; views: [B, Q, D], Q pooled views per image, or None.

    Raises ValueError for other shapes and for fewer than two images, tokens or views.
    """
    if tokens.ndim != 3 or min(tokens.shape[:2]) < 2:
        raise ValueError(f"a diagnosis needs tokens of shape [B >= 2, N >= 2, D], got {tuple(tokens.shape)}")
    if views is not None and (views.ndim != 3 or views.shape[1] < 2 or len(views) != len(tokens)):
        raise ValueError(f"views must be [B = {len(tokens)}, Q >= 2, D], got {tuple(views.shape)}")
    features = pool(tokens)  # [B, D]
    return Diagnosis(
        position_std=collapse.position_std(tokens),
        content_share=collapse.content_share(tokens),
        token_std=collapse.token_std(tokens),
        rankme=collapse.rankme(features),
        rankme_centred=collapse.rankme(features, centred=True),
        alpha=collapse.alpha_req(features),
        covariance=collapse.off_diagonal_covariance(features),
        uniformity=collapse.uniformity(features),
        alignment=None if views is None else collapse.alignment(views),
        lidar=None if views is None else collapse.lidar(views),
        spectrum=collapse.spectrum(features),
    )


def diagnose(encoder, x, views=4, share=1 / 3, seed=0):
    """The Diagnosis of an encoder on a batch; its mode is left as it was.

    encoder: a ViT, such as `jepa.encoder` or `jepa.target_encoder`. x: images [B, C, H, W] on its device; B above the
    width D, or the rank is that of the batch. views: how many contexts of each image LiDAR and alignment compare, each
    a random `share` of the patches, drawn from `seed`; 0 leaves these two out. Raises ValueError for 1 view.
    """
    if views == 1:
        raise ValueError("views must be 0, or at least 2 to compare, got 1")
    with torch.no_grad(), eval_mode(encoder):
        tokens = encoder(x)  # [B, N, D]
        b, n, _ = tokens.shape
        generator = torch.Generator().manual_seed(seed)
        pooled = []
        for _ in range(views):
            keep = torch.rand(b, n, generator=generator).topk(max(1, round(share * n)), dim=1).indices  # [B, K]
            pooled.append(pool(encoder(x, keep=keep.to(x.device))))  # [B, D]
    return diagnose_tokens(tokens, torch.stack(pooled, dim=1) if views else None)


class DiagnoseDuring:
    """A callback for `fit`: every `every` steps, the diagnosis of the context encoder, into columns "encoder_...".

    x: images [B, C, H, W] that stay the same, so that the curve moves for the encoder's sake alone; with 128 of them
    one diagnosis takes about as long as four training steps of 32, so that every=100 costs 4 % of a run
    (`tools/bench/ticks.py` measures it; at most 5 % is wanted). One column per measure ("encoder_rankme", ...), and
    "encoder_verdict".
    """

    def __init__(self, x, every=100, views=4):
        self.x, self.every, self.views = x, every, views

    def __call__(self, step, model, row):
        if step % self.every == 0:
            diagnosis = diagnose(model.encoder, self.x, self.views)
            row.update({f"encoder_{name}": value for name, value in diagnosis.numbers().items()})
            row["encoder_verdict"] = diagnosis.verdict
