"""Explorers: what is drawn is what was asked for, every control changes it, nothing impossible ends in a traceback.

How long a tick of a slider takes, tools/bench/ticks.py measures; no test does, since machines differ.
"""

import base64
import html
import io
import re
import subprocess
import sys
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from minijepa.datasets.shapes import shapeworld
from minijepa.masking.sampling import Masks
from minijepa.planning import Decoder, Dynamics, FrameEncoder, Planner, WorldModel, cem, run_episodes
from minijepa.plots.widgets import (
    CollapseExplorer,
    EnergyExplorer,
    MaskExplorer,
    PlanExplorer,
    PredictionExplorer,
    Snapshot,
    SnapshotDuring,
    canvas,
)
from minijepa.plots.widgets.collapse import project, spectrum
from minijepa.plots.widgets.masks import count_tokens, mask_row
from minijepa.plots.widgets.prediction import block_places, collage, search
from minijepa.training import recipe
from minijepa.worlds import Tasks, TwoRooms

GRID = (8, 8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data():
    return shapeworld(24, seed=0)


@pytest.fixture(scope="module")
def explorers(data):
    return one_of_each(data)


def plan_explorer():
    """A planner around a world model that has learned nothing: what it does is up to the seed."""
    torch.manual_seed(0)
    model = WorldModel(FrameEncoder(), Dynamics()).eval()
    planner = Planner(model, horizon=2, search=partial(cem, samples=16, elites=4, iterations=2))
    return PlanExplorer(
        planner, TwoRooms(), [(0.8, 0.5), (0.2, 0.5)], [(0.2, 0.2), (0.7, 0.8)], Decoder(FrameEncoder()), 6
    )


def one_of_each(data):
    """The explorers, small."""
    z = torch.randn(30, 8, generator=seeded())
    run = [
        Snapshot(step, z * (1 + step), {"position_std": 0.5 + step / 100, "share": 0.2}, 0.1) for step in (0, 10, 20)
    ]
    energy = np.random.default_rng(0).random((3, 5, 6))
    return {
        "mask": MaskExplorer(data.images[:16]),
        "prediction": PredictionExplorer(recipe.build(), data.subset(slice(0, 3)), data.subset(slice(3, 24)), (2, 3)),
        "collapse": CollapseExplorer({"healthy": run, "dead": run}, labels=torch.arange(30) % 3),
        "plan": plan_explorer(),
        "energy": EnergyExplorer(energy, {"z": [0.0, 1.0, 2.0]}, ("a", range(6)), ("b", range(5))),
    }


def picture_in(explorer):
    """What the explorer shows now, as an array [H, W, 3]."""
    (data,) = re.findall(r"base64,([^\"]+)", explorer.screen.value)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def sentence_in(explorer):
    return re.findall(r'role="status"[^>]*>(.*)</div>', explorer.screen.value)[0]


# --- what all explorers promise ---------------------------------------------------------------------------


def another_value(control):
    """One end of the control's range; small steps may round to the same block of patches."""
    if hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return next(value for value in values if value != control.value)
    return control.max if control.value != control.max else control.min


@pytest.mark.parametrize("kind", ["mask", "prediction", "collapse", "energy"])
def test_every_control_changes_what_is_shown_and_back(explorers, kind):
    explorer = explorers[kind]
    for name, control in explorer.controls.items():
        before, value = explorer.screen.value, control.value
        control.value = another_value(control)
        assert explorer.screen.value != before, f"{kind}: {name} does nothing"
        control.value = value
        assert explorer.screen.value == before, f"{kind}: {name} leaves something behind"


@pytest.mark.parametrize("kind", ["mask", "prediction", "collapse", "energy"])
def test_without_a_kernel_a_still_picture_with_words_is_left(explorers, kind):
    data = explorers[kind]._repr_mimebundle_()
    ((alt, pixels),) = re.findall(r'<img alt="([^"]+)"[^>]* src="data:image/png;base64,([^"]+)">', data["text/html"])
    still = Image.open(io.BytesIO(base64.b64decode(pixels)))
    assert still.format == "PNG" and still.width >= 600 and still.height >= 200
    assert len(pixels) < 150_000, "too heavy for a notebook that may have 1 MB"
    assert html.unescape(alt) == data["text/plain"] and explorers[kind].alt in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data, "with a kernel it should be live"
    assert not any(key.startswith("image/") for key in data), "JupyterLab shows those without their words"


def test_the_text_of_the_output_does_not_depend_on_the_data(data):
    texts = [MaskExplorer(images)._repr_mimebundle_()["text/plain"] for images in (data.images[:2], data.images[5:9])]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("stripped", [True, False])
def test_exported_as_html_the_still_picture_shows(explorers, stripped):
    from nbconvert import HTMLExporter

    data = explorers["mask"]._repr_mimebundle_()
    if stripped:  # as committed; otherwise as somebody saves it
        del data["application/vnd.jupyter.widget-view+json"]
    output = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
    cell = nbformat.v4.new_code_cell("explorer", execution_count=1, outputs=[output])
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    (pixels,) = re.findall(r'base64,([^"]+)"', data["text/html"])
    (image,) = re.findall(r"<img[^>]*>", page)
    assert pixels in image and f'alt="{html.escape(data["text/plain"])}"' in image
    assert 'type="application/vnd.jupyter.widget-view+json"' not in page


def test_the_package_does_not_wait_for_ipywidgets():
    code = "import sys, minijepa; sys.exit('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- masks ------------------------------------------------------------------------------------------------


def test_panels_show_exactly_the_patches_of_the_masks():
    image = torch.randint(0, 200, (3, 32, 32), generator=seeded(), dtype=torch.uint8)  # never the hidden grey
    context, targets = torch.tensor([0, 9, 63]), torch.tensor([[1, 2], [17, 18]])
    row = np.asarray(mask_row(image, context, targets, GRID, side=64))
    wanted = [range(64), context.tolist(), [1, 2], [17, 18]]
    for number, kept in enumerate(wanted):
        x = number * (64 + 4 + 8) + 2
        inside = row[-66:-2, x : x + 64]  # [64, 64, 3]: every pixel twice
        for patch in range(64):
            top, left = 4 * (patch // 8), 4 * (patch % 8)
            real = image[:, top : top + 4, left : left + 4].permute(1, 2, 0).numpy()
            seen = inside[2 * top : 2 * top + 8 : 2, 2 * left : 2 * left + 8 : 2]
            assert (seen == (real if patch in kept else canvas.HIDDEN)).all(), f"panel {number}, patch {patch}"


def test_tokens_are_counted_by_hand():
    masks = Masks(torch.tensor([[0, 1, 2], [3, 4, 5]]), torch.tensor([[[8, 9], [9, 10]], [[8, 9], [10, 11]]]))
    assert count_tokens(masks, (4, 4)) == (
        "In a batch of 2, the context encoder sees 3 of 16 patches; 2 targets of 2 patches cover 3 to 4 different "
        "ones; no context patch lies in a target."
    )
    masks.context[0, 1:] = torch.tensor([8, 10])
    assert "up to 2 context patches lie in a target" in count_tokens(masks, (4, 4))


def test_the_same_settings_show_the_same_masks(data):
    first, second = MaskExplorer(data.images[:4], seed=3), MaskExplorer(data.images[:4])
    assert first.screen.value != second.screen.value
    second.controls["seed"].value = 3
    assert first.screen.value == second.screen.value


def test_where_the_released_sampler_would_hang_a_message_says_so(data):
    explorer = MaskExplorer(data.images[:2], published=True)
    assert "loop forever" in sentence_in(explorer)
    explorer.controls["scale"].value = 0.3
    assert "loop" not in sentence_in(explorer) and "context encoder sees" in sentence_in(explorer)


def test_targets_that_fill_the_grid_are_refused_in_words(data):
    explorer = MaskExplorer(data.images[:2], scale=1.0)
    assert "Not possible" in sentence_in(explorer) and "lower target_scale" in sentence_in(explorer)
    before = picture_in(explorer)
    explorer.controls["scale"].value = 0.2
    assert picture_in(explorer).shape != before.shape


def test_every_reachable_setting_answers(data):
    """All corners of the controls: a picture or a message, never an exception."""
    explorer = MaskExplorer(data.images[:3])
    for scale in (0.05, 0.35, 0.95, 1.0):
        for aspect in (0.3, 1.0, 3.0):
            for count in (1, 6):
                for sampler in ("ours", "published"):
                    picture, sentence = explorer.render(
                        scale=scale, aspect=aspect, count=count, seed=1, sampler=sampler
                    )
                    assert picture.width > 100 and sentence


def test_images_of_another_form_are_refused(data):
    with pytest.raises(ValueError, match=r"uint8 \[B, 3, H, W\]"):
        MaskExplorer(data.batch(slice(0, 2)))


# --- predictions ------------------------------------------------------------------------------------------


def pixels(x):
    """[B, 3, 32, 32] -> [B, 64, 48]: every token is its patch."""
    return x.reshape(len(x), 3, 8, 4, 8, 4).permute(0, 2, 4, 1, 3, 5).reshape(len(x), 64, 48)


class Encoder(torch.nn.Linear):
    """Sees nothing."""

    grid = GRID

    def forward(self, x, keep):
        return x[:, :1, 0]


class Oracle(torch.nn.Module):
    """In place of a JEPA: the teacher's tokens are pixels, the predictor gives the answers [N, 48] that it was told."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.encoder, self.teacher = answers, Encoder(1, 1), pixels

    def predictor(self, context, masks):
        return self.answers[masks.targets]  # [B, 1, K_t, 48]


def test_a_perfect_prediction_finds_the_real_patches(data):
    """The album holds the images themselves: what is nearest must be the patch itself, at distance 0."""
    shown = data.subset(slice(0, 1))
    oracle = Oracle(pixels(shown.batch())[0])
    explorer = PredictionExplorer(oracle, shown, data, sizes=(3,), k=2)
    answers = explorer.answers[3]
    assert oracle.training, "the model's mode must be left as it was"
    assert answers.distance[..., 0].max() < 0.05 < answers.distance[..., 1].mean()
    filled = collage(shown.images[0], answers.blocks[7], answers.nearest[0, 7, :, 0], data.images, GRID)
    assert torch.equal(filled, shown.images[0])
    assert answers.beaten.min() > 0.5, "nothing can be nearer, at most equal"


def test_a_prediction_that_knows_only_the_place_is_no_better_than_chance():
    data = shapeworld(120, seed=4)
    oracle = Oracle(pixels(data.batch()).mean(dim=0))
    explorer = PredictionExplorer(oracle, data.subset(slice(0, 30)), data.subset(slice(30, 120)), sizes=(2,))
    assert 0.4 < explorer.answers[2].beaten.mean() < 0.6


def test_search_agrees_with_brute_force():
    queries, tokens = torch.randn(5, 6, generator=seeded()), torch.randn(4, 9, 6, generator=seeded(1))
    index, distance = search(queries, tokens, 3)
    for q in range(5):
        every = sorted((float((queries[q] - tokens[a, n]).pow(2).sum().sqrt()), 9 * a + n)
                       for a in range(4) for n in range(9))  # fmt: skip
        assert index[q].tolist() == [i for _, i in every[:3]]
        assert torch.allclose(distance[q], torch.tensor([d for d, _ in every[:3]]), atol=1e-4)


def test_beaten_counts_only_album_patches_of_the_same_place(explorers, data):
    """Against a loop over places and images, for the ViT of the course."""
    explorer, jepa = explorers["prediction"], recipe.build().eval()
    image, size, place = 2, 2, 11
    block = explorer.answers[size].blocks[place]
    rest = torch.tensor([[n for n in range(64) if n not in block.tolist()]])
    with torch.no_grad():
        x = data.batch(torch.tensor([image]))
        predicted = jepa.predictor(jepa.encoder(x, keep=rest), Masks(rest, block[None, None]))[0, 0]  # [4, D]
        real, album = jepa.teacher(x)[0], jepa.teacher(data.batch(slice(3, 24)))
    for i, token in enumerate(block.tolist()):
        to_real = (predicted[i] - real[token]).norm()
        farther = [(predicted[i] - other[token]).norm() > to_real for other in album]
        assert explorer.answers[size].beaten[image, place, i].item() == pytest.approx(np.mean(farther), abs=0.051)


def test_places_of_blocks_are_all_there_and_in_order():
    blocks = block_places((3, 4), 2)
    assert blocks.tolist() == [[0, 1, 4, 5], [1, 2, 5, 6], [2, 3, 6, 7], [4, 5, 8, 9], [5, 6, 9, 10], [6, 7, 10, 11]]


def test_a_block_as_large_as_the_grid_is_a_message_and_no_traceback(data):
    few = data.subset(slice(0, 2))
    explorer = PredictionExplorer(recipe.build(), few, few, sizes=(2, 8, 9))
    for size, words in ((8, "from edge to edge"), (9, "larger than")):
        explorer.controls["size"].value = size
        assert words in sentence_in(explorer)
    explorer.controls["size"].value = 2
    assert "Block of 2x2" in sentence_in(explorer)
    with pytest.raises(ValueError, match="at least 1"):
        PredictionExplorer(recipe.build(), few, few, sizes=(0,))


# --- collapse and energy ----------------------------------------------------------------------------------


def test_spectrum_and_projection_of_a_known_cloud():
    z = torch.zeros(400, 5)
    z[:, 3] = 10 * torch.randn(400, generator=seeded())
    z[:, 1] = torch.randn(400, generator=seeded(1))
    levels = spectrum(z)
    assert levels[:2] == pytest.approx([1, 0], abs=0.05) and (levels[2:] < -5).all()
    points = project([Snapshot(0, z / 100), Snapshot(1, z)])
    along = np.abs(np.corrcoef(points[1][:, 0], z[:, 3])[0, 1])
    assert along > 0.99 and np.allclose(points[0] * 100, points[1], atol=1e-3)


def test_snapshots_are_kept_at_the_asked_steps(data):
    from minijepa import diagnose, features, knn_probe

    model = recipe.build()
    train, heldout = data, data.subset(slice(14, 24))
    keep = SnapshotDuring(train, heldout, steps=(0, 2))
    for step in range(4):
        keep(step, model, {})
    assert [snapshot.step for snapshot in keep.snapshots] == [0, 2]
    first, d = keep.snapshots[0], diagnose(model.encoder, heldout.batch(), views=0)
    f, g = features(model.encoder, train), features(model.encoder, heldout)
    assert torch.allclose(first.embeddings, g, atol=1e-5)
    assert list(first.monitors.values()) == pytest.approx([d.position_std, d.rankme / 96, d.rankme_centred / 96])
    assert first.probe == knn_probe(f, train.labels, g, heldout.labels)
    CollapseExplorer({"run": keep.snapshots})


def test_runs_that_do_not_fit_together_are_refused():
    z = torch.randn(10, 4, generator=seeded())
    with pytest.raises(ValueError, match=r"'late'.*\[5\].*expected \[0\]"):
        CollapseExplorer({"early": [Snapshot(0, z)], "late": [Snapshot(5, z)]})


def test_a_dead_run_can_be_drawn():
    """All embeddings alike, no monitors, no probe: nothing to divide by."""
    explorer = CollapseExplorer({"dead": [Snapshot(0, torch.ones(10, 4)), Snapshot(1, torch.ones(10, 4))]})
    assert picture_in(explorer).std() > 0


def test_the_lowest_energy_is_named_and_framed():
    energy = np.ones((2, 4, 5))
    energy[0, 3, 1], energy[1, 0, 4] = -1, -2
    explorer = EnergyExplorer(energy, {"z": [0, 1]}, ("a", [0, 10, 20, 30, 40]), ("b", [0, 1, 2, 3]))
    assert "lowest energy -1 at a = 10, b = 3" in sentence_in(explorer)
    red = (picture_in(explorer)[:, :264] == (0xD5, 0x5E, 0)).all(axis=-1).nonzero()
    assert red[0].mean() < 18 + 260 / 4 and 260 / 5 < red[1].mean() < 2 * 260 / 5 + 2, "b = 3 is the uppermost row"
    explorer.controls["z"].value = 1
    assert "lowest energy -2 at a = 40, b = 0" in sentence_in(explorer)
    with pytest.raises(ValueError, match="say"):
        EnergyExplorer(energy, {"z": [0]}, ("a", range(5)), ("b", range(4)))


def test_a_point_of_the_map_shows_what_it_stands_for():
    energy = np.arange(2 * 4 * 5, dtype=float).reshape(2, 4, 5)

    def pictures(state, row, column):
        grey = torch.full((3, 8, 8), 100 * state[0] + 10 * row + column, dtype=torch.uint8)
        return [("question", torch.zeros_like(grey)), ("answer", grey)]

    explorer = EnergyExplorer(energy, {"z": [0, 1]}, ("a", range(5)), ("b", range(4)), pictures)
    assert list(explorer.controls) == ["z", "row", "column"] and "orange point" in explorer.alt
    for name, value in {"z": 1, "row": 3, "column": 0}.items():
        before = explorer.screen.value
        explorer.controls[name].value = value
        assert explorer.screen.value != before
    right = picture_in(explorer)[:, -114:-2]
    assert (right == 130).all(axis=-1).sum() >= 112 * 112, "the answer at z = 1, row 3, column 0"
    assert f"At the point: {energy[1, 3, 0]:.3g}." in sentence_in(explorer)
    orange = (picture_in(explorer)[:, :264] == (0xE6, 0x9F, 0)).all(axis=-1).nonzero()
    assert orange[0].mean() < 18 + 260 / 4 and orange[1].mean() < 2 + 260 / 5, "its frame: upper left"


# --- the canvas -------------------------------------------------------------------------------------------


def test_lines_are_broken_between_words_and_keep_all_of_them():
    text = "a target block may take 64 of the 64 patches, which leaves fewer than the 4 wanted as context"
    lines = canvas.wrap(text, 200, 12)
    assert " ".join(lines) == text and len(lines) > 2
    assert all(canvas.letters(12).getlength(line) <= 200 for line in lines)


def test_a_point_is_plotted_where_it_belongs():
    picture = np.asarray(canvas.plot([([0.5, np.nan], [2.0, 1.0], "#FF0000", "dots")], (250, 138), (0, 1), (0, 4), "t"))
    rows, columns = ((picture[..., 0] > 200) & (picture[..., 1] < 100)).nonzero()
    assert abs(columns.mean() - (44 + 244) / 2) < 1.5 and abs(rows.mean() - (20 + 120) / 2) < 1.5
    assert len(rows) < 60, "the point that is not finite is left out"


def test_a_small_png_is_smaller_and_nearly_the_same(data):
    picture = canvas.enlarge(data.images[0], 320)
    small = canvas.png(picture, small=True)
    assert len(small) < len(canvas.png(picture))
    assert np.abs(np.asarray(Image.open(io.BytesIO(small)).convert("RGB"), dtype=int) - np.asarray(picture)).mean() < 6


# --- the plan ---


def test_a_plan_is_the_planners_own_episode():
    """The explorer's path is that of run_episodes, and going back and forth between steps changes nothing."""
    explorer = plan_explorer()
    forth = [state[0] for state in explorer.episode(0, 0, 5)]
    explorer.episode(1, 1, 3)
    again = [state[0] for state in explorer.episode(0, 0, 2)]
    assert torch.equal(torch.cat(forth[:3]), torch.cat(again))
    world, goal, start = TwoRooms(), torch.tensor([[0.8, 0.5]]), torch.tensor([[0.2, 0.2]])
    tasks = Tasks(start, goal, world.walls(1, seeded()))
    episodes = run_episodes(world, tasks, plan_explorer().planner, steps=5)
    torch.testing.assert_close(torch.cat(forth), episodes.path[0])


def test_the_energy_of_a_plan_is_lowest_where_the_frame_is():
    explorer = plan_explorer()
    picture, sentence = explorer.draw(goal=0, start=0, step=1)
    assert picture.width > 600 and "Step 1" in sentence and "not within reach" in sentence
    explorer.goals[0] = explorer.starts[0]
    explorer.memory = {}
    assert "(within reach)" in explorer.draw(goal=0, start=0, step=0)[1]
