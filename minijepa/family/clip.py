"""CLIP: which caption belongs to this image? Replaced: the second view, by a sentence.

    image   --> encoder, mean over tokens, linear map    --> unit vector u
    caption --> text encoder, mean over words, linear map --> unit vector v
    cross-entropy over the B x B cosines times a learned scale, once per row and once per column

What the captions do not say, nothing asks of the encoder: the caption is the transform. Here the text encoder is small
and looks at all words, where CLIP's reads from left to right; the pairs are drawn (minijepa.datasets.captioned).
Source: CLIP (arXiv:2103.00020, section 2.3, figure 3).

    model = clip.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, captioned(single_shapes(4_000)), steps=300, **clip.TRAINING)
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.collapse import differ
from minijepa.datasets.captions import VOCABULARY
from minijepa.positions import sincos_1d
from minijepa.training import recipe
from minijepa.training.distributed import whole_batch
from minijepa.vit import pool

NAME = "CLIP"
TRAINING = {**recipe.TRAINING, "augment": None, "batch_size": 128}
masks = None
LARGEST_SCALE = 100


def clip_loss(images, captions, scale):
    """Which of B captions belongs to an image, and which of B images to a caption? The mean of two cross-entropies.

    images, captions: unit vectors [B, D], row i of both from one pair; the cosines are multiplied by `scale`, above 0,
    one over the temperature. Returns a scalar >= 0; log B if all cosines are equal. Where two images of the batch have
    the same caption, it still counts the other's as wrong, so it cannot reach 0.
    Source: CLIP (arXiv:2103.00020, figure 3).
    """
    logits = scale * images @ captions.T  # [B, B]: a row per image, a column per caption
    answer = torch.arange(len(images), device=images.device)  # [B]
    return (F.cross_entropy(logits, answer) + F.cross_entropy(logits.T, answer)) / 2


@dataclass
class CLIPOutput:
    """What one step made. loss: scalar; tokens: of the image encoder, [B, N, D]; scale: one over the temperature."""

    loss: torch.Tensor
    tokens: torch.Tensor
    scale: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: do tokens differ between images, and how sharp is the softmax?"""
        return {**differ(self.tokens), "scale": self.scale}


class TextEncoder(nn.Module):
    """Word indices to one vector per caption: embeddings with positions, transformer layers, mean over the words.

    words: size of the vocabulary; its word 0 is padding, which no other word sees and the mean leaves out.
    dim, depth, heads: width, layers and attention heads. length: words in the longest caption.
    """

    def __init__(self, words, dim=64, depth=2, heads=2, length=32):
        super().__init__()
        self.dim = dim
        self.embedding = nn.Embedding(words, dim)
        self.register_buffer("pos_embed", sincos_1d(torch.arange(length), dim))  # [length, dim]
        layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout=0.0, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, captions):
        """captions: int64 [B, L] -> [B, D]. Raises ValueError for captions of more than `length` words."""
        if captions.shape[1] > len(self.pos_embed):
            raise ValueError(
                f"captions may have up to {len(self.pos_embed)} words, got {captions.shape[1]}: raise length"
            )
        padding = captions == 0  # [B, L]
        x = self.embedding(captions) + self.pos_embed[: captions.shape[1]]  # [B, L, D]
        x = self.layers(x, src_key_padding_mask=padding)  # [B, L, D]
        return x.masked_fill(padding.unsqueeze(-1), 0).sum(dim=1) / (~padding).sum(dim=1, keepdim=True)


class CLIP(nn.Module):
    """An image encoder, a text encoder, a linear map from each into a shared space, and the learned scale.

    encoder: a ViT. text: a module [B, L] -> [B, D] with its width as `dim`. width: of the shared space.
    """

    compares_examples = True  # the other pairs of the batch are the negatives

    def __init__(self, encoder, text, width=64):
        super().__init__()
        self.encoder, self.text = encoder, text
        self.image_head = nn.Linear(encoder.dim, width, bias=False)
        self.text_head = nn.Linear(text.dim, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, pairs):
        """pairs: images [B, C, H, W] and captions int64 [B, L]. Returns CLIPOutput."""
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
        images, captions = pairs
        tokens = self.encoder(images)  # [B, N, D]
        u = whole_batch(self.image_vectors(tokens), self.training)  # [B, width]
        v = whole_batch(self.caption_vectors(captions), self.training)  # [B, width]
        scale = self.log_scale.exp()
        return CLIPOutput(clip_loss(u, v, scale), tokens, scale)

    def image_vectors(self, tokens):
        """tokens of the image encoder [B, N, D] -> unit vectors [B, width]."""
        return F.normalize(self.image_head(pool(tokens)).float(), dim=1)

    def caption_vectors(self, captions):
        """captions: int64 [B, L] -> unit vectors [B, width]."""
        return F.normalize(self.text_head(self.text(captions)).float(), dim=1)

    @property
    def target_encoder(self):
        """The encoder to keep: that of the images."""
        return self.encoder


def model(encoder):
    """CLIP with a small text encoder for the words of `minijepa.datasets.VOCABULARY`. encoder: a ViT."""
    return CLIP(encoder, TextEncoder(len(VOCABULARY)))
