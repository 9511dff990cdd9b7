"""The loop against a plain loop written here, its schedules in closed form, and every way to stop."""

import copy
import math
import signal
import threading
from functools import partial

import pytest
import torch

from minijepa.datasets.augment import crop_flip
from minijepa.jepa import JEPA
from minijepa.masking.blocks import block_masks
from minijepa.masking.sampling import Masks
from minijepa.predictor import Predictor
from minijepa.training.batches import BatchOrder
from minijepa.training.checkpoint import load_checkpoint
from minijepa.training.fit import TrainingDiverged, fit
from minijepa.training.memory import keep_freed_memory
from minijepa.training.optimizers import make_optimizers, warmup_cosine
from minijepa.vit import ViT

GRID = (4, 4)


class Images:
    """Noise that answers `len` and `batch`, and remembers what it was asked for."""

    def __init__(self, count=20):
        generator = torch.Generator().manual_seed(7)
        self.pixels = torch.randn(count, 3, 8, 8, generator=generator, dtype=torch.float64)
        self.asked = []

    def __len__(self):
        return len(self.pixels)

    def single(self):
        self.pixels = self.pixels.float()
        return self

    def batch(self, index=None, device=None):
        self.asked.append(index)
        return self.pixels[index].to(device)


class BrokenImages(Images):
    """From the given request on, a batch holds one bad value."""

    def __init__(self, request, value=math.nan):
        super().__init__()
        self.request, self.value = request, value

    def batch(self, index=None, device=None):
        x = super().batch(index, device)
        if len(self.asked) >= self.request:
            x[0, 0, 0, 0] = self.value
        return x


def build(weight=0.0, seed=0):
    """In float64: the biases of the keys have no gradient, and AdamW would blow its rounding noise up."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = ViT(8, 2, dim=12, depth=1, heads=3)
        return JEPA(encoder, Predictor(12, GRID, width=12, depth=1, heads=3), weight=weight).double()


def draw(batch, generator):
    request = dict(n_targets=2, target_scale=(0.2, 0.3), context_keep=5)
    return block_masks(batch, GRID, **request, generator=generator)


def same_masks(batch, generator=None):
    """One mask for all images, so that it does not matter how a batch is split."""
    context, targets = torch.tensor([[0, 3, 9, 12]]), torch.tensor([[[5, 6], [10, 15]]])
    return Masks(context.expand(batch, -1), targets.expand(batch, -1, -1))


def run(model=None, data=None, masks=draw, **settings):
    settings = {"steps": 6, "batch_size": 4, "lr": 1e-2, **settings}
    model = model or build()
    return model, fit(model, data or Images(), masks, **settings)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal_states(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def double_it(x, generator=None, rows_of=None):
    return 2 * x


# --- the whole loop ---


@pytest.mark.parametrize(("weight", "accumulate"), [(0.0, 1), (0.3, 1), (0.3, 2)])
def test_equals_a_plain_loop(weight, accumulate):
    """AdamW on two groups made by name, schedules as formulas, the teacher averaged tensor by tensor."""
    steps, lr, warmup = 12, 1e-2, 0.25
    decay, momentum, betas = (0.4, 0.05), (0.8, 0.95), (0.8, 0.9)
    model = build(weight)
    twin = copy.deepcopy(model)
    data, drawn = Images(), []

    def masks(count, generator):
        drawn.append(draw(count, generator))
        return drawn[-1]

    schedules = dict(warmup=warmup, weight_decay=decay, momentum=momentum, betas=betas)
    run(model, data, masks, steps=steps, lr=lr, **schedules, accumulate=accumulate, augment=double_it)

    learned = [(n, p) for n, p in twin.named_parameters() if not n.startswith("teacher")]
    plain = [p for n, p in learned if n.endswith("bias") or "norm" in n or "mask_tokens" in n]
    matrices = [p for n, p in learned if not any(p is q for q in plain)]
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": plain, "weight_decay": 0}], lr=lr, betas=betas, foreach=False
    )
    index = torch.stack([torch.cat(data.asked[i : i + accumulate]) for i in range(0, len(data.asked), accumulate)])
    size = 4 // accumulate
    for t in range(steps):
        rate = lr * (t + 1) / 3 if t < 3 else lr / 2 * (1 + math.cos(math.pi * (t - 3) / 9))
        for group in optimizer.param_groups:
            group["lr"] = rate
        cosine = (1 + math.cos(math.pi * t / steps)) / 2
        optimizer.param_groups[0]["weight_decay"] = decay[1] + (decay[0] - decay[1]) * cosine
        optimizer.zero_grad()
        loss = 0
        for part, rows in enumerate(index[t].chunk(accumulate)):
            loss = (
                loss
                + twin(double_it(data.pixels[rows]), drawn[t].rows(slice(part * size, (part + 1) * size))).loss
                / accumulate
            )
        loss.backward()
        optimizer.step()
        tau = momentum[0] + (momentum[1] - momentum[0]) * t / steps
        with torch.no_grad():
            for slow, fast in zip(twin.teacher.encoder.parameters(), twin.encoder.parameters(), strict=True):
                slow.copy_(tau * slow + (1 - tau) * fast)
    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4, msg=name)
    start = build(weight)
    moved = [(p - q).abs().max() for p, q in zip(model.parameters(), start.parameters(), strict=True)]
    assert min(moved) > 1e-3  # far more than the tolerance above


def test_a_seed_repeats_the_run_and_another_one_does_not():
    crop = {"augment": lambda x, generator: x + torch.randn(x.shape, generator=generator)}
    a, first = run(seed=3, **crop)
    b, second = run(seed=3, **crop)
    c, third = run(seed=4, **crop)
    assert first.rows == second.rows
    assert_equal_states(state(a), state(b))
    assert first.rows[0]["loss"] != third.rows[0]["loss"]


def test_global_random_numbers_play_no_part():
    torch.manual_seed(1)
    _, first = run()
    torch.manual_seed(2)
    _, second = run()
    assert first.rows == second.rows


def test_steps_see_different_masks_and_noise():
    masks, noises = [], []

    def noise(x, generator):
        noises.append(torch.rand(1, generator=generator).item())
        return x

    def remember(batch, generator):
        masks.append(draw(batch, generator))
        return masks[-1]

    run(masks=remember, augment=noise)
    assert len(set(noises)) == 6
    assert len({tuple(m.context.flatten().tolist()) for m in masks}) == 6


def test_the_loss_falls_on_what_can_be_learned():
    _, history = run(steps=60, masks=same_masks, momentum=(1.0, 1.0))
    _, losses = history.curve("loss")
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_the_model_trains_and_ends_in_eval_mode():
    modes = []
    model, _ = run(build().eval(), callbacks=[lambda step, model, row: modes.append(model.training)])
    assert modes == [True] * 6 and not model.training


# --- schedules and batches ---


def test_warmup_then_cosine():
    rates = [warmup_cosine(t, 100, 2.0, 0.1) for t in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (t + 1) for t in range(10)])
    assert rates[10:] == pytest.approx([1 + math.cos(math.pi * t / 90) for t in range(90)])
    assert max(rates) == rates[9] == pytest.approx(2.0)
    assert warmup_cosine(0, 1, 2.0, 0.1) == pytest.approx(2.0)  # a run of one step trains
    assert warmup_cosine(0, 10, 2.0, 0.0) == pytest.approx(2.0)
    assert warmup_cosine(9, 10, 2.0, 1.0) == pytest.approx(2.0)


def test_rows_record_the_schedules():
    _, history = run(steps=10, lr=0.5e-2, warmup=0.3, momentum=(0.6, 0.9), monitor_every=4)
    assert [row["step"] for row in history.rows] == list(range(1, 11))
    assert history.curve("lr")[1] == [warmup_cosine(t, 10, 0.5e-2, 0.3) for t in range(10)]
    assert history.curve("momentum")[1] == pytest.approx([0.6 + 0.03 * t for t in range(10)])
    steps, values = history.curve("position_std")
    assert steps == [1, 5, 9, 10] == history.curve("content_share")[0]
    assert all(0 < value < 2 for value in values)
    assert history.curve("no such column") == ([], [])
    assert not history.interrupted


def test_weight_decay_leaves_out_biases_norms_and_the_mask_token():
    model = build()
    (optimizer,) = make_optimizers(model, 1e-3)
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, plain = ({names[id(p)] for p in group["params"]} for group in optimizer.param_groups)
    learned = {name for name in names.values() if not name.startswith("teacher")}
    assert decayed | plain == learned and not decayed & plain
    assert {name for name in plain if not (name.endswith("bias") or "norm" in name)} == {"predictor.mask_tokens.0"}
    assert not {name for name in decayed if name.endswith("bias") or "norm" in name}
    assert [group["decays"] for group in optimizer.param_groups] == [True, False]
    assert optimizer.param_groups[1]["weight_decay"] == 0


@pytest.mark.parametrize(("images", "batch"), [(20, 4), (23, 5), (7, 7), (9, 1), (9, 5)])
def test_every_epoch_is_a_permutation(images, batch):
    order = BatchOrder(images, batch, seed=0)
    per_epoch = images // batch
    epochs = [torch.cat([order.batch(e * per_epoch + i) for i in range(per_epoch)]) for e in range(4)]
    for epoch in epochs:
        assert len(epoch) == per_epoch * batch == len(set(epoch.tolist()))  # nobody twice
        assert epoch.min() >= 0 and epoch.max() < images
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4
    if images % batch:  # who is left out changes
        assert set(torch.cat(epochs).tolist()) == set(range(images))


def test_a_batch_depends_on_seed_and_step_alone():
    forwards, backwards = BatchOrder(20, 4, seed=1), BatchOrder(20, 4, seed=1)
    batches = [forwards.batch(t) for t in range(15)]
    assert all(torch.equal(backwards.batch(t), batches[t]) for t in (14, 3, 4, 9, 0, 14))
    assert not torch.equal(BatchOrder(20, 4, seed=2).batch(0), batches[0])


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_equals_one_batch(parts):
    """Crops and masks are those of the whole batch, whose poorest image says how long all contexts are."""

    def poorest(batch, generator):
        return block_masks(batch, GRID, n_targets=2, target_scale=(0.2, 0.3), generator=generator)

    def crop(x, generator, rows_of=None):
        return crop_flip(x.float(), generator, rows_of=rows_of).double()

    settings = {"masks": poorest, "augment": crop, "batch_size": 8}
    whole, one = run(**settings)
    data = Images()
    split, many = run(data=data, **settings, accumulate=parts)
    assert [len(index) for index in data.asked] == [8 // parts] * 6 * parts
    assert one.curve("loss")[1] == pytest.approx(many.curve("loss")[1], rel=1e-6)
    for (name, p), q in zip(whole.named_parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4, msg=name)


def test_a_part_needs_an_augment_that_knows_of_it():
    def noise(x, generator):
        return x + torch.randn(x.shape, generator=generator)

    with pytest.raises(ValueError, match="augment=noise does not take `rows_of`.*crop_flip"):
        run(augment=noise, accumulate=2)
    run(augment=partial(crop_flip, flip=False), accumulate=2, model=build().float(), data=Images().single())


# --- precision ---


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision(precision, dtype):
    model, seen = build(0.1).float(), []
    model.encoder.blocks[0].mlp.fc1.register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    data = Images()
    data.pixels = data.pixels.float()
    model, history = run(model, data, precision=precision)
    assert set(seen) == {dtype}
    assert all(p.dtype == torch.float32 for p in model.parameters())
    _, reference = run(build(0.1))
    assert history.curve("loss")[1] == pytest.approx(reference.curve("loss")[1], rel=0.05)
    assert all(p.isfinite().all() for p in model.parameters())


# --- what it says and whom it calls ---


@pytest.fixture
def nobody_watches(monkeypatch):
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_GPU"):
        monkeypatch.delenv(name, raising=False)


def test_silent_where_nobody_watches(nobody_watches, capfd):
    run()
    assert capfd.readouterr() == ("", "")


def test_a_bar_where_somebody_does(nobody_watches, monkeypatch, capsys):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")
    run(label="my run")
    out, err = capsys.readouterr()
    assert "my run" in out + err


def test_callbacks_come_after_each_step_and_may_add_columns():
    calls, model = [], build()
    before = state(model)

    def first(step, called, row):
        assert called is model and row["step"] == step
        moved = [name for name, value in state(model).items() if not torch.equal(value, before[name])]
        assert any(n.startswith("encoder") for n in moved) and any(n.startswith("teacher") for n in moved)
        calls.append(("first", step))

    def second(step, called, row):
        calls.append(("second", step))
        if step % 2 == 0:
            row["probe"] = step / 10

    _, history = run(model, steps=4, callbacks=(first, second))
    assert calls == [(name, step) for step in (1, 2, 3, 4) for name in ("first", "second")]
    assert history.curve("probe") == ([2, 4], [0.2, 0.4])


def test_keeping_freed_memory_is_harmless():
    assert keep_freed_memory() is None


# --- when the loss is no number ---


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("request_number", "accumulate"), [(4, 1), (8, 2), (7, 2)])
def test_a_loss_that_is_no_number_stops_before_it_touches_the_model(value, request_number, accumulate):
    """Step 4 meets the bad batch, with two parts per batch in its first or second part."""
    model, last, rows = build(), {}, []

    def remember(step, model, row):
        last.update(state(model))
        rows.append(step)

    data = BrokenImages(request_number, value)
    with pytest.raises(TrainingDiverged, match=r"step 4 of 9 .*after step 3.*lr") as caught:
        run(model, data, steps=9, accumulate=accumulate, callbacks=[remember])
    assert isinstance(caught.value, FloatingPointError)
    assert rows == [1, 2, 3]
    assert_equal_states(state(model), last)
    assert all(p.isfinite().all() for p in model.parameters())


# --- Ctrl-C ---


def interrupt_at(step, times=1):
    def callback(done, model, row):
        if done == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return callback


def test_ctrl_c_ends_the_run_after_the_step_in_hand(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "run.pt"
    model, history = run(callbacks=[interrupt_at(3)], checkpoint=path)
    assert history.interrupted and [row["step"] for row in history.rows] == [1, 2, 3]
    assert not model.training and signal.getsignal(signal.SIGINT) is before
    assert [row["step"] for row in torch.load(path, weights_only=True)["rows"]] == [1, 2, 3]
    resumed, rest = run(build(seed=9), checkpoint=path, resume=True)
    whole, history = run()
    assert rest.rows == history.rows and not rest.interrupted
    assert_equal_states(state(resumed), state(whole))


def test_ctrl_c_at_the_last_step_is_no_interruption():
    _, history = run(callbacks=[interrupt_at(6)])
    assert len(history.rows) == 6 and not history.interrupted


def test_a_second_ctrl_c_stops_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in a background job it starts out ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            run(callbacks=[interrupt_at(2, times=2)])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_restores_the_handler():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingDiverged):
        run(data=BrokenImages(2))
    assert signal.getsignal(signal.SIGINT) is before


def test_runs_outside_the_main_thread():
    histories = []
    thread = threading.Thread(target=lambda: histories.append(run()[1]))
    thread.start()
    thread.join()
    assert len(histories[0].rows) == 6


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 0}, "steps.* 0 "),
        ({"batch_size": 0}, "batch_size.* 0"),
        ({"batch_size": 21}, "21 .*20 examples"),
        ({"accumulate": 0}, "accumulate.*4.* 0"),
        ({"accumulate": 3}, "accumulate.*4.* 3"),
        ({"precision": "float16"}, "'float32'.*'bfloat16'.*'float16'"),
        ({"monitor_every": 0}, "monitor_every.* 0 "),
        ({"save_every": 0}, "save_every.* 0"),
        ({"resume": True}, "checkpoint"),
    ],
)
def test_impossible_settings_touch_nothing(change, named):
    model = build()
    before = state(model)
    with pytest.raises(ValueError, match=named):
        run(model, **change)
    assert_equal_states(state(model), before)


def test_an_earlier_run_is_not_overwritten(tmp_path):
    path = tmp_path / "deep" / "run.pt"
    run(checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"run\.pt.*resume=True"):
        run(checkpoint=path)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("change", [{"lr": 2e-2}, {"seed": 5}, {"steps": 8}, {"momentum": (0.5, 1.0)}])
def test_a_checkpoint_of_other_settings_is_refused(change, tmp_path):
    path = tmp_path / "run.pt"
    run(checkpoint=path)
    content = path.read_bytes()
    model = build(seed=5)
    before = state(model)
    (name, value), = change.items()  # fmt: skip
    with pytest.raises(ValueError, match=rf"run\.pt.*{name} was .* and is now ") as caught:
        run(model, checkpoint=path, resume=True, **change)
    assert repr(value) in str(caught.value)
    assert_equal_states(state(model), before)
    assert path.read_bytes() == content


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    path = tmp_path / "run.pt"
    model, history = run(checkpoint=path)
    other, again = run(build(seed=3), checkpoint=path, resume=True)
    assert again.rows == history.rows
    assert_equal_states(state(other), state(model))


def test_a_checkpoint_holds_all_that_is_needed(tmp_path):
    path = tmp_path / "run.pt"
    model, history = run(checkpoint=path)
    content = torch.load(path, weights_only=True)  # plain data: no code runs when it is read
    other = build(seed=3)
    (optimizer,) = optimizers = make_optimizers(other, 1.0)
    loaded = load_checkpoint(path, other, optimizers, content["settings"])
    assert loaded == history.rows
    assert_equal_states(state(other), state(model))
    assert optimizer.param_groups[0]["lr"] == history.rows[-1]["lr"]
    assert all(s["step"] == 6 for s in optimizer.state.values())


def test_compiled_or_not_the_same_run(monkeypatch):
    """The graph is captured and differentiated by torch.compile; only its C++ backend, a minute long, is left out."""
    used, compile_ = [], torch.compile

    def compile_quickly(model):
        used.append(model)
        return compile_(model, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", compile_quickly)
    (plain, history), (compiled, again) = run(), run(compile=True)
    assert used[1:] == [compiled]  # the first is the small program that is tried out
    assert [row["loss"] for row in again.rows] == pytest.approx([row["loss"] for row in history.rows], abs=1e-6)
    for (name, a), b in zip(state(plain).items(), state(compiled).values(), strict=True):
        assert torch.allclose(a, b, atol=1e-5), name
