"""BEiT: BERT's way on images: which word stands at the hidden patch? Replaced: predictor and target encoder.

    x --> tokens, the hidden ones replaced by m + p_j --> encoder --> one linear layer --> a distribution over words
    x --> each patch --> the nearest of 256 typical patches, its word                  --> which one it should be

A word is no average: where two answers are possible, the prediction can name both. Detail that the vocabulary does not
hold need not be predicted. BEiT's vocabulary is the discrete VAE of DALL-E; here it is k-means on the patches of the
first batch, with scikit-learn. Source: BEiT (arXiv:2106.08254, section 2), after BERT (arXiv:1810.04805).

    model = beit.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], beit.masks, steps=1000, **beit.TRAINING)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.collapse import differ
from minijepa.family.data2vec import encode_with_mask_tokens
from minijepa.jepa import at_targets
from minijepa.masking import block_masks
from minijepa.training import recipe
from minijepa.training.distributed import whole_batch
from minijepa.vit import init_weights

NAME = "BEiT"
TRAINING = {**recipe.TRAINING, "batch_size": 64}


def nearest_words(patches, words):
    """The word nearest to each patch, by Euclidean distance. patches: [..., P]; words: [K, P]. Returns int64 [...]."""
    return torch.cdist(patches, words).argmin(dim=-1)


@dataclass
class BEiTOutput:
    """What one step made. loss: scalar; logits: [B, M, K_t, K] over the words; target: int64 [B, M, K_t], the words at
    the hidden patches; tokens: [B, N, D] of the encoder, hidden ones among them."""

    loss: torch.Tensor
    logits: torch.Tensor
    target: torch.Tensor
    tokens: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: do tokens differ between images; the fraction of hidden words guessed."""
        right = self.logits.argmax(dim=-1) == self.target  # [B, M, K_t]
        return {**differ(self.tokens), "right": right.float().mean()}


class BEiT(nn.Module):
    """An encoder with a mask token, a linear head over the words of a vocabulary, and the vocabulary.

    encoder: a ViT with added positions ("sincos"). words: size K of the vocabulary, at most the patches of a batch.
    The first batch that is trained on (of all processes; with accumulate, the first microbatch) gives the vocabulary,
    from then on a part of the state dict. Raises ValueError for rotary positions.
    """

    def __init__(self, encoder, words=256):
        super().__init__()
        if encoder.pos_embed is None:
            raise ValueError("BEiT needs an encoder with positions that are added, such as 'sincos', not rotary")
        self.encoder = encoder
        self.mask_token = nn.Parameter(0.02 * torch.randn(encoder.dim))
        self.head = nn.Linear(encoder.dim, words).apply(init_weights)
        self.register_buffer("words", torch.full((words, encoder.patch_embed.proj.in_features), torch.nan))

    def forward(self, x, masks):
        """x: images [B, C, H, W]; masks: Masks; its targets [B, M, K_t] are hidden, all else is seen.

        Returns BEiTOutput. Raises ValueError in eval mode as long as there is no vocabulary.
        """
        target = at_targets(self.words_of(x).unsqueeze(-1), masks).squeeze(-1)  # [B, M, K_t]
        tokens = encode_with_mask_tokens(self.encoder, self.mask_token, x, masks.targets.flatten(1))  # [B, N, D]
        logits = self.head(at_targets(tokens, masks)).float()  # [B, M, K_t, K]
        loss = F.cross_entropy(logits.flatten(0, 2), target.flatten())
        return BEiTOutput(loss, logits, target, tokens)

    @torch.compiler.disable
    @torch.no_grad()
    def words_of(self, x):
        """The word of each patch: x [B, C, H, W] -> int64 [B, N]."""
        patches = self.encoder.patch_embed.patches(x).to(self.words.dtype)  # [B, N, P]
        if self.words.isnan().any():
            if not self.training:
                raise ValueError("this BEiT has no vocabulary yet: train it for at least one step, or load its weights")
            self.words.copy_(vocabulary(whole_batch(patches).flatten(0, 1), len(self.words)))
        return nearest_words(patches, self.words)

    @property
    def target_encoder(self):
        """The encoder to keep: the only one."""
        return self.encoder


def vocabulary(patches, words, seed=0):
    """The words: centres of k-means over patches [M, P], M >= words. Returns float32 [words, P].

    seed: of the random start; the same patches and seed give the same words. Raises ValueError for too few patches.
    """
    from sklearn.cluster import MiniBatchKMeans  # here: it would double the time of `import minijepa`

    if len(patches) < words:
        raise ValueError(f"{words} words need at least as many patches, got {len(patches)}: raise the batch size")
    found = MiniBatchKMeans(words, batch_size=len(patches), n_init=1, random_state=seed).fit(patches.cpu().numpy())
    return torch.from_numpy(found.cluster_centers_).float()


def model(encoder, words=256):
    """BEiT. encoder: a ViT; words: size of its vocabulary."""
    return BEiT(encoder, words)


def masks(batch, generator=None):
    """One block of about 40 % of the image hidden; all the rest of it is seen."""
    return block_masks(
        batch, recipe.GRID, n_targets=1, target_scale=(0.35, 0.45), context_scale=(1.0, 1.0), generator=generator
    )
