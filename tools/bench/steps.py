"""The steps that tools/bench/run.py times: models, masks, one training step of ours and of a plain textbook loop.

Both loops do the same arithmetic on the same sizes (width 192, 6 blocks, predictor 96 x 3, 32 px, 4 targets of 3 x 4
patches, 7 context patches). The textbook loop is the one that most people write first: it draws masks image by image as
published, embeds every patch before masking, calls the predictor once per target block, and updates the target encoder
tensor by tensor. If torch_world is installed (`pip install torch_world`, Apache-2.0), its I-JEPA of the same sizes and
its own mask sampler are a third loop. The models of the course are timed too: "nano" and "tiny" with the recipe's
masks; "clips", which has nano's width and depth on clips of equally many tokens, with V-JEPA's two sets of masks and
L1; and "world", the world model of notebook 15, whose images are frames.
"""

import copy
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from minijepa import JEPA, SIZES, Masks, Predictor, ViT, block_masks, gather_tokens
from minijepa.losses import l1
from minijepa.masking.sampling import MaskSets
from minijepa.masking.tubes import tube_masks
from minijepa.planning import Dynamics, FrameEncoder, WorldModel
from minijepa.training import recipe
from minijepa.worlds import TwoRooms

BATCH, GRID, SIZE, N_TARGETS, CONTEXT = 64, (8, 8), (3, 4), 4, 7
SCALE, ASPECT = (12 / 64, 12 / 64), (3 / 4, 3 / 4)  # fixed values: every block is 3 x 4
WINDOW, WALKS = 5, 48  # frames of an example and examples of a batch of the world model, as in notebook 15
CLIP, TUBELET, CLIP_GRID = (8, 16, 16), (2, 4, 4), (4, 4, 4)  # 64 tokens, as an image of 32 px in patches of 4


def build():
    """The model of the comparison with the textbook."""
    torch.manual_seed(0)
    encoder = ViT(img_size=32, patch_size=4, dim=192, depth=6, heads=3)
    return JEPA(encoder, Predictor(encoder.dim, encoder.grid, width=96, depth=3, heads=3))


def build_clips():
    """V-JEPA with nano's width and depth: two kinds of masks, hence two mask tokens, and L1."""
    torch.manual_seed(0)
    dim, depth, heads, _ = SIZES["nano"]
    encoder = ViT(CLIP, TUBELET, dim=dim, depth=depth, heads=heads, in_chans=1)
    return JEPA(encoder, Predictor(dim, CLIP_GRID, width=48, depth=2, heads=3, mask_tokens=2), distance=l1)


def our_masks(batch=BATCH):
    """The masks of all images in one call."""
    return block_masks(batch, GRID, n_targets=N_TARGETS, target_scale=SCALE, target_aspect=ASPECT, context_keep=CONTEXT)


def clip_masks(batch):
    """V-JEPA's two kinds of masks on 4 x 4 x 4 tokens, as notebook 08 draws them."""
    short = tube_masks(batch, CLIP_GRID, n_blocks=4, scale=(0.15, 0.15), context_keep=6)
    return MaskSets((short, tube_masks(batch, CLIP_GRID, n_blocks=2, scale=(0.4, 0.4), context_keep=4)))


def textbook_masks(batch=BATCH):
    """Masks drawn image by image, in the published way: place a block, collect its patches, place again if too few.

    At least CONTEXT context patches must remain, and the list is truncated to that many; every 20 attempts, one more
    target may overlap the context. (`published_block_masks` of the package does this with Python sets.)
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


# --- torch_world, if it is there ---


def build_torch_world():
    """torch_world's I-JEPA with the sizes of `build`."""
    from torch_world.models import IJEPA
    from torch_world.nn import MaskedPredictor, VisionTransformer

    torch.manual_seed(0)
    encoder = VisionTransformer(img_size=32, patch_size=4, embed_dim=192, depth=6, num_heads=3)
    return IJEPA(encoder, MaskedPredictor(encoder.grid, encoder.embed_dim, 96, depth=3, num_heads=3))


def torch_world_masks(batch=BATCH):
    """Its own sampler at the same sizes: context [B, 7] and four targets [B, 12] per image, each in a list."""
    from torch_world.masks import MultiBlockMask

    sampler = MultiBlockMask(GRID, pred_scale=SCALE, aspect_ratio=ASPECT, num_pred=N_TARGETS, min_keep=CONTEXT - 1)
    contexts, targets = sampler(batch)
    return [context[:, :CONTEXT] for context in contexts], targets


def torch_world_step(model, optimizer, x, autocast, draw):
    """One training step as its documentation shows it. draw: function batch -> masks."""
    optimizer.zero_grad()
    masks = draw(len(x))
    with autocast:
        loss = model(x, *masks)["loss"]
    loss.backward()
    optimizer.step()
    model.update_target(0.996)


# --- the world model ---


def build_world():
    """The world model of notebook 15, and a batch of its walks: (model, Clip)."""
    torch.manual_seed(0)
    walks = TwoRooms().walks(WALKS, seed=0, window=WINDOW)
    return WorldModel(FrameEncoder(), Dynamics()), walks.batch(torch.arange(WALKS))


def world_step(model, optimizer, clip, autocast):
    """One training step as `minijepa.fit` makes it. clip: frames [B, T, C, S, S] and actions."""
    optimizer.zero_grad(set_to_none=True)
    with autocast:
        loss = model(clip).loss
    loss.backward()
    optimizer.step()


def world_flops(model, clip):
    """Operations of one step of the world model, forward and backward, without the optimiser."""
    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(model)(clip).loss.backward()
    return counter.get_total_flops()


# name: (model, masks, shape of one image or clip, batch sizes)
MODELS = {
    "ours": (build, our_masks, (3, 32, 32), (16, BATCH)),
    "nano": (partial(recipe.build, "nano"), recipe.masks, (3, 32, 32), (32, 128)),
    "tiny": (partial(recipe.build, "tiny"), recipe.masks, (3, 32, 32), (32,)),
    "clips": (build_clips, clip_masks, (1, *CLIP), (32, 128)),
}


def our_step(jepa, optimizer, x, autocast, draw):
    """One training step as `minijepa.fit` makes it. draw: function batch -> masks."""
    optimizer.zero_grad(set_to_none=True)
    masks = draw(len(x))
    with autocast:
        loss = jepa(x, masks).loss
    loss.backward()
    optimizer.step()
    jepa.after_step(0.996)


def textbook_step(jepa, optimizer, x, autocast, draw):
    """The same arithmetic, written plainly. draw: function batch -> masks."""
    optimizer.zero_grad()
    masks = draw(len(x))
    with autocast:
        with torch.no_grad():
            target = torch.nn.functional.layer_norm(jepa.teacher.encoder(x).float(), (192,))
        tokens = gather_tokens(jepa.encoder.embed(x), masks.context)  # every patch is embedded, most are then discarded
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


# --- the size of a step ---


def step_flops(jepa, draw, shape, batch, draws=8):
    """Operations per image of target encoder, context encoder and predictor, forward and backward, averaged over draws.

    They are counted on tensors without values (device "meta"), so that nothing is computed. The optimiser is left out.
    """
    twin = copy.deepcopy(jepa).to("meta")
    x = torch.empty(batch, *shape, device="meta")
    drawn = [draw(batch).to("meta") for _ in range(draws)]  # before the count: drawing masks takes operations too
    with FlopCounterMode(display=False) as counter:
        for masks in drawn:
            twin(x, masks).loss.backward()
    return counter.get_total_flops() / (draws * batch)


def step_tokens(draw, batch):
    """How many tokens of one image pass through target encoder, context encoder and predictor in a step."""
    masks, tokens = draw(batch), 64
    for each in masks.sets if isinstance(masks, MaskSets) else [masks]:
        seen, (asked, length) = each.context.shape[1], each.targets.shape[1:]
        tokens += seen + asked * (seen + length)
    return tokens
