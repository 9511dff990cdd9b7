"""Several processes end with the same parameters, teacher and losses as one, and a failure ends the job.

Three workers are started once, since importing torch takes longest. Run as a program, this file is such a worker: it
reads jobs, joins as many others as the job wants, trains, and writes what it has. In float64, because AdamW blows
rounding noise up where a gradient is zero. The references are runs of this process alone.
"""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from PIL import Image
from test_contract import ActionConditioned, Transitions

from minijepa.commands.arguments import parse_arguments, to_go_on
from minijepa.datasets.augment import crop_flip
from minijepa.datasets.shapes import shapeworld
from minijepa.family import (
    BYOL,
    CJEPA,
    VAE,
    Autoencoder,
    BEiT,
    Data2Vec,
    MoCo,
    PixelTeacher,
    TwoViews,
    bootleg,
    cjepa,
    info_nce,
    lejepa_loss,
    two_views,
)
from minijepa.jepa import JEPA
from minijepa.losses import l2, sigreg, variance_covariance, vicreg
from minijepa.machine.files import CannotWrite
from minijepa.masking.blocks import block_masks
from minijepa.masking.sampling import Masks, MaskSets
from minijepa.predictor import Predictor
from minijepa.probes import features, knn_probe, linear_probe
from minijepa.training import distributed, fsdp, memory
from minijepa.training.checkpoint import load_checkpoint, save_checkpoint
from minijepa.training.fit import TrainingDiverged, fit
from minijepa.training.optimizers import make_optimizers
from minijepa.vit import ViT

pytestmark = [pytest.mark.distributed, pytest.mark.skipif(not dist.is_available(), reason="torch has no distributed")]
REPO = Path(__file__).parents[1]
GRID, STEPS = (4, 4), 20
REGULARISERS = {"vicreg": vicreg, "variance_covariance": variance_covariance, "sigreg": sigreg}


class Images:
    """Noise that answers `len` and `batch`, and remembers what it was asked for; 26 images, so epochs leave a rest."""

    def __init__(self, broken=None):
        self.pixels = torch.randn(26, 3, 8, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        if broken is not None:
            self.pixels[broken] = torch.nan
        self.asked = []

    def __len__(self):
        return len(self.pixels)

    def batch(self, index=None, device=None):
        self.asked.append(index.tolist())
        return self.pixels[index]


def draw(batch, generator):
    """The number of context tokens is that of the poorest image of the whole batch."""
    return block_masks(batch, GRID, n_targets=2, target_scale=(0.2, 0.3), generator=generator)


def draw_two(batch, generator):
    sparse = block_masks(batch, GRID, n_targets=1, target_scale=(0.5, 0.5), context_keep=3, generator=generator)
    return MaskSets((draw(batch, generator), sparse))


def crop(x, generator, rows_of=None):
    return crop_flip(x.float(), generator, rows_of=rows_of).double()


def build(weight=0.0, regulariser="variance_covariance", tokens=1, start=0):
    """depth 2 of an encoder and predictor of 12 features, in float64. start: the seed of the weights."""
    torch.manual_seed(start)
    encoder = ViT(8, 2, dim=12, depth=2, heads=3)
    predictor = Predictor(12, GRID, width=12, depth=1, heads=3, mask_tokens=tokens)
    return JEPA(encoder, predictor, weight=weight, regulariser=REGULARISERS[regulariser]).double()


def views(x, generator, rows_of=None):
    return two_views(x.float(), generator, rows_of=rows_of).double()


def relative(name):
    """(model, data, masks, augment) of a relative of I-JEPA, or of a world model that hears actions; in float64."""
    torch.manual_seed(0)
    if name == "actions":
        return ActionConditioned().double(), Transitions(), None, None
    encoder, pixels = ViT(8, 2, dim=12, depth=2, heads=3), None
    if name in ("simclr", "vicreg", "lejepa"):
        loss = {"simclr": info_nce, "vicreg": vicreg, "lejepa": lejepa_loss}[name]
        return TwoViews(encoder, loss, width=8, hidden=16).double(), Images(), None, views
    if name in ("moco", "byol"):
        make = {"moco": partial(MoCo, size=9), "byol": BYOL}[name]
        return make(encoder, width=8, hidden=16).double(), Images(), None, views
    if name == "data2vec":
        return Data2Vec(encoder, top=2).double(), Images(), draw, crop
    if name in ("autoencoder", "vae"):
        return {"autoencoder": Autoencoder, "vae": VAE}[name](encoder, code=3, hidden=8).double(), Images(), None, crop
    if name == "beit":
        return BEiT(encoder, words=8).double(), Images(), draw, crop
    if name == "bootleg":
        return bootleg.model(encoder).double(), Images(), draw, crop
    if name == "cjepa":
        predictor = Predictor(12, GRID, width=12, depth=1, heads=3)
        return CJEPA(encoder, predictor, beta=0.1).double(), Images(), cjepa.shared(draw), crop
    pixels = PixelTeacher(encoder)  # MAE
    predictor = Predictor(12, GRID, width=12, depth=1, heads=3, out_dim=pixels.dim)
    return JEPA(encoder, predictor, pixels, l2).double(), Images(), draw, crop


def run_relative(name, **settings):
    """One run of it; what `run` returns of a run, without what was asked and sent."""
    model, data, masks, augment = relative(name)
    history = fit(model, data, masks, augment=augment, steps=STEPS, batch_size=6, lr=1e-2, seed=3, **settings)
    return {"model": fsdp.whole(model), "rows": history.rows, "error": None}


def run(
    weight=0.0, regulariser="variance_covariance", sets=False, stop=None, kill=None, broken=None, more=0, apart=0,
    **settings,
):  # fmt: skip
    """One run. stop, kill: {"rank", "step"} of the process that gets a Ctrl-C, or dies, in the middle of that step;
    of the one that dies also "note", a file that it makes last.

    more: images that each rank has more than the one before; apart: the same for the seed of the weights.
    """
    rank, calls = distributed.Team.current().rank, []
    model, data = build(weight, regulariser, tokens=1 + sets, start=apart * rank), Images(broken)
    data.pixels = data.pixels[: len(data) - 2 * more + more * rank]

    def masks(batch, generator):
        calls.append(batch)
        if stop and stop["rank"] == rank and len(calls) == stop["step"]:
            signal.raise_signal(signal.SIGINT)
        if kill and kill["rank"] == rank and len(calls) == kill["step"]:
            Path(kill["note"]).touch()  # its time is that of the death
            os.kill(os.getpid(), signal.SIGKILL)
        return (draw_two if sets else draw)(batch, generator)

    settings = {"steps": STEPS, "batch_size": 6, "lr": 1e-2, "seed": 3, "augment": crop, **settings}
    sent, send = [], dist.all_reduce
    dist.all_reduce = lambda *what: sent.append(what) or send(*what)  # not those of DDP, which are not Python's
    try:
        history = fit(model, data, masks, **settings)
        rows, error = history.rows, None
    except (TrainingDiverged, ValueError, RuntimeError) as caught:
        rows, error = [], f"{type(caught).__name__}: {caught}"
    finally:
        dist.all_reduce = send
    whole = fsdp.whole(model)
    return {"model": whole, "rows": rows, "asked": data.asked, "error": error, "sent": len(sent)}


def run_cli(arguments):
    """The command line; imported here, as it takes a second."""
    from minijepa import train

    return {"code": train.main(arguments)}


def judge(team, batch_size=7):
    """Features of a frozen encoder, each process those of its images, and what two probes make of all of them."""
    train, test = shapeworld(90, seed=0), shapeworld(60, seed=1)
    torch.manual_seed(0)
    encoder = ViT(32, 4, dim=24, depth=2, heads=3)

    def own(data):
        mine = features(encoder, data.subset(team.rows(len(data))), batch_size=batch_size)  # [N / size, D]
        return distributed.whole_batch(mine)  # [N, D]

    f, g = own(train), own(test)
    return {
        "features": f,
        "scores": [probe(f, train.labels, g, test.labels) for probe in (knn_probe, linear_probe)],
    }


# --- workers ---


def worker(rank):
    """Read jobs from stdin, one JSON object per line; answer each with the name of a file of results."""
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.update(job["environment"], RANK=str(rank), LOCAL_RANK=str(rank))
        result = {}
        try:
            if job["do"] == "cli":
                result = run_cli(job["settings"])
            elif job["do"] == "probe":
                with distributed.session() as team:
                    result = judge(team)
            else:
                with distributed.session():
                    result = {"run": run, "relative": run_relative}[job["do"]](**job["settings"])
        finally:
            torch.save(result, job["results"] + str(rank))
            print("done", flush=True)


def environment(size):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}


@pytest.fixture(scope="module")
def workers():
    """Three processes that wait for jobs."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])}
    variables.update(OMP_NUM_THREADS="1")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": variables}
    processes = [subprocess.Popen([sys.executable, __file__, str(rank)], **pipes) for rank in range(3)]
    yield processes
    for each in processes:
        each.stdin.close()
        each.wait(timeout=60)


@pytest.fixture
def together(workers, tmp_path):
    """together(size, **settings): the results of a run on so many processes, one dict per rank."""

    def start(size, do="run", arguments=None, **settings):
        results = str(tmp_path / "results")
        job = {"do": do, "environment": environment(size), "results": results, "settings": arguments or settings}
        for each in workers[:size]:
            each.stdin.write(json.dumps(job) + "\n")
            each.stdin.flush()
        for each in workers[:size]:
            while (line := each.stdout.readline()) != "done\n":
                assert line, "a worker died"
        return [torch.load(results + str(rank), weights_only=True) for rank in range(size)]

    return start


def assert_same_run(one, other):
    """Parameters, teacher and losses to 1e-5 (float64 agrees far better); `one` is of a single process."""
    assert one["error"] is other["error"] is None
    assert one["model"].keys() == other["model"].keys()
    for name, value in one["model"].items():
        torch.testing.assert_close(other["model"][name], value, atol=1e-5, rtol=1e-5, msg=name)
    losses = [[row["loss"] for row in result["rows"]] for result in (one, other)]
    assert len(losses[0]) == STEPS and losses[1] == pytest.approx(losses[0], rel=1e-5)


def assert_moved(result, **made_with):
    """The run changed every parameter by far more than the tolerance above."""
    start = build(**made_with).state_dict()
    moved = {name: (value - start[name]).abs().max() for name, value in result["model"].items() if "pos_" not in name}
    assert min(moved.values()) > 1e-4, min(moved, key=moved.get)


# --- the same run ---

RUNS = {
    "plain": (2, {}),
    "plain on three": (3, {}),
    "vicreg": (2, {"weight": 0.02, "regulariser": "vicreg"}),
    "variance and covariance, accumulated": (2, {"weight": 0.3, "accumulate": 3}),
    "sigreg on three": (3, {"weight": 0.1, "regulariser": "sigreg"}),
    "muon": (3, {"weight": 0.3, "optimizer": "muon"}),
    "several masks": (2, {"weight": 0.3, "sets": True}),
    "recomputed": (2, {"weight": 0.3, "recompute": True}),
    "from other weights than rank 0's": (2, {"apart": 1}),
    "in shards, from other weights than rank 0's": (2, {"shard": True, "apart": 1}),
    "in shards": (2, {"weight": 0.3, "shard": True}),
    "in three shards, accumulated": (3, {"weight": 0.3, "shard": True, "accumulate": 2}),
}


@pytest.mark.parametrize("name", RUNS)
def test_equals_the_run_of_one_process(name, together):
    size, settings = RUNS[name]
    results = together(size, **settings)
    alone = run(**{k: v for k, v in settings.items() if k not in ("shard", "recompute")})
    for result in results:
        assert_same_run(alone, result)
        for name, value in result["model"].items():  # and no rank drifts from another, not by one bit
            assert torch.equal(value, results[0]["model"][name]), name
    for rows in zip(alone["asked"], *(result["asked"] for result in results), strict=True):
        assert rows[0] == [index for part in rows[1:] for index in part]  # each image once, in order
    assert_moved(alone, weight=settings.get("weight", 0), tokens=1 + settings.get("sets", False))


@pytest.mark.parametrize(
    "name",
    [
        "data2vec", "bootleg", "cjepa", "mae", "beit", "autoencoder", "vae", "simclr", "moco",
        "byol", "vicreg", "lejepa", "actions",
    ],
)  # fmt: skip
def test_every_relative_equals_its_run_of_one_process(name, together):
    """Two views, too: their loss and BatchNorm see the examples of both processes."""
    alone = run_relative(name)
    for result in together(2, do="relative", name=name):
        assert_same_run(alone, result)
    start = relative(name)[0]
    moved = {n: (alone["model"][n] - p).abs().max() for n, p in start.named_parameters() if p.requires_grad}
    still = {n for n, size in moved.items() if size < 1e-4}  # what BatchNorm, or a difference of views, takes away
    still = {name.removeprefix("online.") for name in still}
    assert still <= {"encoder.norm.bias", "projector.0.bias", "projector.3.bias", "predictor.0.bias"}, still


def test_besides_gradients_a_step_sends_one_message(together):
    """The loss, and whether somebody pressed Ctrl-C."""
    short, long = together(2, steps=4)[0], together(2, steps=9)[0]
    assert long["sent"] - short["sent"] == 5


def test_the_term_over_the_batch_needs_all_of_it(together, monkeypatch):
    """What a forgotten gather would give: terms of three images each, averaged. The test above can tell."""
    settings = {"weight": 1.0, "regulariser": "vicreg", "steps": 1, "lr": 1e-3}
    result, alone = together(2, **settings)[0], run(**settings)
    assert result["rows"][0]["loss"] == pytest.approx(alone["rows"][0]["loss"], rel=1e-9)
    monkeypatch.setitem(REGULARISERS, "vicreg", lambda z: (vicreg(z[:3]) + vicreg(z[3:])) / 2)
    assert abs(run(**settings)["rows"][0]["loss"] / alone["rows"][0]["loss"] - 1) > 0.005


# --- stop, resume, fail ---


@pytest.mark.parametrize("shard", [False, True])
def test_stopped_on_two_resumed_on_one_and_on_three(shard, together, tmp_path):
    """Ctrl-C reaches one rank only, in the middle of a step; both stop after the same one."""
    settings = {"weight": 0.3, "shard": shard}
    whole = run(weight=0.3)
    for size in (1, 3):
        path = str(tmp_path / f"for{size}")
        half = together(2, **settings, checkpoint=path, stop={"rank": 1, "step": 11})
        assert [len(each["rows"]) for each in half] == [11, 11]
        rest = together(size, **settings, checkpoint=path, resume=True)
        assert rest[0]["rows"][:11] == half[0]["rows"]
        assert len(rest[0]["asked"]) == STEPS - 11
        assert_same_run(whole, rest[0])
    if not shard:
        path = str(tmp_path / "alone")
        together(2, **settings, checkpoint=path, stop={"rank": 1, "step": 11})
        assert_same_run(whole, run(weight=0.3, checkpoint=path, resume=True))  # without any process group


def test_a_loss_that_is_no_number_stops_all(together):
    """One image is bad, so one rank's loss; all say so, and hold the parameters of the step before."""
    results = together(2, broken=5)
    alone = run(broken=5)
    assert alone["error"].startswith("TrainingDiverged")
    for result in results:
        assert result["error"] == alone["error"]
        for name, value in result["model"].items():
            torch.testing.assert_close(value, alone["model"][name], atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_rank_ends_the_job_with_a_message(tmp_path):
    """Under torchrun itself. Lost are the steps since the last checkpoint, of which one was due every five.

    The job must end within 30 s of the death: what is bounded is no speed, but how long the others wait in vain.
    """
    path, note = tmp_path / "run.pt", tmp_path / "killed"
    settings = {"checkpoint": str(path), "save_every": 5, "kill": {"rank": 1, "step": 13, "note": str(note)}}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    command += ["--nproc-per-node=2", __file__]
    variables = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    job = subprocess.run([*command, json.dumps(settings)], env=variables, capture_output=True, text=True, timeout=300)
    assert time.time() - note.stat().st_mtime < 30
    assert job.returncode != 0
    assert "rank      : 1" in job.stderr and "SIGKILL" in job.stderr  # torchrun's report
    assert len(torch.load(path, weights_only=True)["rows"]) == 10
    assert_same_run(run(), run(checkpoint=path, resume=True))


def test_processes_that_disagree_all_stop(together):
    """Also the one in the middle, whose number is the mean of all."""
    for rank, result in enumerate(together(3, more=1)):
        assert result["error"].startswith(f"RuntimeError: rank {rank} has images {24 + rank} and others another")


def test_shards_and_files_are_told_apart(together, tmp_path):
    path = str(tmp_path / "run")
    together(1, shard=True, checkpoint=path, steps=2)
    assert sorted(each.name for each in Path(path).iterdir()) == ["latest", "step-00000002"]  # older ones are gone
    model = build()
    with pytest.raises(ValueError, match=r"run holds a run in shards.*shard=True"):
        load_checkpoint(path, model, make_optimizers(model, 1e-3), {})
    run(checkpoint=path + ".pt", steps=2)
    result = together(1, shard=True, checkpoint=path + ".pt", resume=True, steps=2)[0]
    assert "run.pt holds a run in one file" in result["error"] and "shard=False" in result["error"]


@pytest.fixture
def launched_alone(monkeypatch):
    """What torchrun says to a process that has no others."""
    for name, value in {**environment(1), "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def group_of_one(launched_alone):
    """A process group in this process, with nobody else in it."""
    with distributed.session():
        yield


@pytest.fixture
def saves(monkeypatch):
    """The names of the folders into which shards are written, each checked: it is not the one that `latest` names."""
    import torch.distributed.checkpoint as dcp

    names, save = [], dcp.save

    def watched(states, checkpoint_id):
        latest = checkpoint_id.parent / "latest"
        assert not latest.exists() or latest.read_text() != checkpoint_id.name
        names.append(checkpoint_id.name)
        return save(states, checkpoint_id=checkpoint_id)

    monkeypatch.setattr(dcp, "save", watched)
    return names


def test_shards_are_never_written_over(group_of_one, saves, tmp_path):
    """Not even when the last step is one of every `save_every`, or none is left to do: a crash would lose the run."""
    settings = {"shard": True, "steps": 4, "save_every": 2, "checkpoint": tmp_path / "run"}
    rows = run(**settings)["rows"]
    assert saves == ["step-00000002", "step-00000004"]
    assert run(**settings, resume=True)["rows"] == rows and len(saves) == 2
    model = build()
    fsdp.shard(model, torch.device("cpu"))
    for name in ("step-00000004.1", "step-00000004"):
        save_checkpoint(tmp_path / "run", model, make_optimizers(model, 1e-3), {}, rows)
        assert sorted(each.name for each in (tmp_path / "run").iterdir()) == ["latest", name]
    assert saves[2:] == ["step-00000004.1", "step-00000004"]


def test_a_run_killed_in_its_first_save_starts_afresh(group_of_one, saves, tmp_path, monkeypatch):
    settings = {"shard": True, "checkpoint": tmp_path / "run"}
    whole = run()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda old, new: 1 / 0)  # all is written, but `latest` does not name it
        with pytest.raises(ZeroDivisionError):
            run(**settings, save_every=5)
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["step-00000005"]
    for resume in (True, False):
        shutil.copytree(tmp_path / "run", tmp_path / str(resume))
        assert_same_run(whole, run(**{**settings, "checkpoint": tmp_path / str(resume)}, resume=resume))
        assert sorted(each.name for each in (tmp_path / str(resume)).iterdir()) == ["latest", "step-00000020"]


def test_shards_that_find_no_room_leave_nothing_and_say_so(group_of_one, tmp_path, monkeypatch):
    """A process may grow no file beyond some kilobytes: what PyTorch meets on a full disk, too."""
    resource = pytest.importorskip("resource", reason="no limit can be set on this system")
    settings = {"shard": True, "checkpoint": tmp_path / "run", "steps": 4}
    run(**settings, save_every=2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        model = build()
        fsdp.shard(model, torch.device("cpu"))
        with pytest.raises(CannotWrite, match="run.* cannot be written .*too large"):
            save_checkpoint(tmp_path / "run", model, make_optimizers(model, 1e-3), {}, [{}] * 9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == ["latest", "step-00000004"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk, and there is none")
@pytest.mark.parametrize("name", ["latest", "step-00000009/rest.pt"])
def test_a_disk_that_is_full_after_the_shards_leaves_the_last_run(name, group_of_one, tmp_path, monkeypatch):
    """A `.part` that leads to /dev/full: all that is written there meets a full disk."""
    import torch.distributed.checkpoint as dcp

    run(shard=True, checkpoint=tmp_path / "run", steps=4, save_every=2)
    model, save = build(), dcp.save
    fsdp.shard(model, torch.device("cpu"))

    def then_full(*what, **how):
        save(*what, **how)
        (tmp_path / "run" / f"{name}.part").symlink_to("/dev/full")

    monkeypatch.setattr(dcp, "save", then_full)
    with pytest.raises(CannotWrite, match=rf"{name} cannot be written \(No space left.*free some disk space"):
        save_checkpoint(tmp_path / "run", model, make_optimizers(model, 1e-3), {}, [{}] * 9)
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == ["latest", "step-00000004"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 5}, "batch_size 5 must be a multiple of .* 1 x 2"),
        ({"batch_size": 6, "accumulate": 2}, "batch_size 6 must be a multiple of .* 2 x 2"),
        ({"shard": True, "optimizer": "muon"}, "Muon needs whole matrices; use optimizer='adamw' .*--optimizer adamw"),
    ],
)
def test_impossible_requests(settings, words, together):
    for result in together(2, **settings):
        assert result["error"].startswith("ValueError")
        assert re.search(words, result["error"])


# --- the command line ---


@pytest.fixture
def words(tmp_path):
    """A command line on forty drawn images, but for --out."""
    images = tmp_path / "images"
    for i, image in enumerate(shapeworld(40, seed=0).images):
        folder = images / ("even", "odd")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:02d}.png")
    return ["--data", str(images), "--batch-size", "8", "--device", "cpu"]


def test_the_command_to_go_on_starts_as_many_processes(monkeypatch):
    """`python` alone would go on with a run on one process, and could not read shards at all."""
    for name, value in environment(3).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "0")
    arguments = parse_arguments(["--data", "my pictures", "--shard", "--device", "cpu", "--out", "a run"])
    start, rest = to_go_on(arguments, 7, distributed.Team(0, 3)).split(" -m minijepa.train ")
    assert start == "torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=3"
    assert "--resume" in rest and "--shard" in rest and "--steps 7" in rest
    monkeypatch.delenv("RANK")
    assert to_go_on(arguments, 7, distributed.Team()).startswith("python -m minijepa.train --data")


@pytest.mark.parametrize("more", [[], ["--shard"]])
def test_the_command_line_on_two_processes(more, words, together, tmp_path):
    """The same arguments, the same encoder, and one process that writes."""
    words = [*words, "--steps", "3", *(["--optimizer", "adamw"] if more else [])]
    codes = together(2, do="cli", arguments=[*words, *more, "--out", str(tmp_path / "two")])
    assert [each["code"] for each in codes] == [0, 0]
    assert run_cli([*words, "--out", str(tmp_path / "one")])["code"] == 0
    two, one = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("two", "one"))
    assert two["processes"] == 2 and one["processes"] == 1
    assert two["command"].startswith("torchrun ") and one["command"].startswith("python -m minijepa.train --data")
    assert two["recipe"]["optimizer"] == ("adamw" if more else "muon")
    assert [row["loss"] for row in two["history"]] == pytest.approx([row["loss"] for row in one["history"]], rel=1e-4)
    for name, probe in one["probes"].items():
        assert two["probes"][name] == pytest.approx(probe, abs=0.13)  # one of the eight images held out


def test_a_model_to_be_cut_is_never_whole_on_the_device(words, launched_alone, monkeypatch, tmp_path):
    """Neither before `fit`, nor the copy that is timed, nor the model that is put together for the probes."""
    to, moved = torch.nn.Module.to, []

    def watched(module, *where, **how):
        if isinstance(module, JEPA):
            moved.append(all(fsdp.is_sharded(block) for block in module.encoder.blocks))
        return to(module, *where, **how)

    monkeypatch.setattr(torch.nn.Module, "to", watched)
    more = ["--shard", "--optimizer", "adamw", "--minutes", "0.001"]
    assert run_cli([*words, *more, "--out", str(tmp_path / "run")])["code"] == 0
    assert moved and all(moved)


def test_the_command_line_says_how_to_shard(words, launched_alone, tmp_path, capsys):
    assert run_cli([*words, "--steps", "3", "--shard", "--out", str(tmp_path / "run")])["code"] == 1
    assert "Muon needs whole matrices" in (error := capsys.readouterr().err) and "--optimizer adamw" in error


def test_probe_numbers_do_not_depend_on_the_number_of_processes(together):
    alone = judge(distributed.Team(), batch_size=100)
    for size in (2, 3):
        for result in together(size, do="probe"):
            torch.testing.assert_close(result["features"], alone["features"], atol=1e-6, rtol=1e-5)
            assert result["scores"] == pytest.approx(alone["scores"], abs=1e-9)


# --- what one process can check ---


def test_parts_make_the_whole():
    parts = [list(range(12))[distributed.Team(rank, 3).rows(12)] for rank in range(3)]
    assert sum(parts, []) == list(range(12)) and {len(part) for part in parts} == {4}
    pieces = [list(range(12))[distributed.Team(rank, 2).rows(12, piece, 3)] for piece in range(3) for rank in (0, 1)]
    assert pieces == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]  # accumulated: each piece is shared
    with pytest.raises(ValueError, match="10 cannot be split evenly over 3"):
        distributed.Team(0, 3).rows(10)
    with pytest.raises(ValueError, match="6 cannot be split evenly over 2 processes in 2 microbatches"):
        distributed.Team(0, 2).rows(6, 0, 2)


def test_a_part_of_a_batch_gets_the_crops_of_the_whole():
    x = torch.rand(6, 3, 8, 8)
    whole = crop_flip(x, torch.Generator().manual_seed(0))
    parts = [crop_flip(x[i : i + 2], torch.Generator().manual_seed(0), rows_of=(i, 6)) for i in (0, 2, 4)]
    assert torch.equal(torch.cat(parts), whole)


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with distributed.session() as team:
        assert team == distributed.Team(0, 1) and not dist.is_initialized()
        assert team.mean(3) == 3 and team.any(True) and not team.any(False)
    with pytest.raises(ValueError, match="torchrun"):
        fsdp.shard(build(), torch.device("cpu"))


def test_a_session_on_gpus_takes_the_one_of_this_process(monkeypatch):
    """Without a GPU: what torch is told."""
    for name, value in {**environment(2), "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    told = []
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **more: told.append((backend, more["device_id"])))
    monkeypatch.setattr(dist, "get_rank", lambda: 1 / 0)  # no further
    with pytest.raises(ZeroDivisionError), distributed.session("cuda"):
        pass
    own = torch.device("cuda", 1)
    assert told == [own, ("nccl", own)]


def test_the_regulariser_is_asked_of_the_whole_batch(monkeypatch):
    """The model hands it the features of all processes; alone those are its own."""
    asked = []
    model = build(weight=0.5)
    model.regulariser = lambda z: asked.append(z.detach()) or z.sum()
    x, masks = Images().pixels[:3], draw(3, torch.Generator().manual_seed(0))
    model(x, masks)
    monkeypatch.setattr("minijepa.jepa.whole_batch", lambda z, training: torch.cat([z, -z]) if training else z)
    model(x, masks)
    assert torch.equal(asked[1], torch.cat([asked[0], -asked[0]])) and len(asked[0]) == 3


def test_gradients_are_exchanged_once_per_step(monkeypatch):
    """An accumulated batch sends them with its last part; before that DDP is told to wait."""
    asked, exchange = [], distributed.exchange

    def watched(model, last):
        asked.append(last)
        return exchange(model, last)

    monkeypatch.setattr(distributed, "exchange", watched)
    assert run(accumulate=3, steps=2)["error"] is None
    assert asked == [False, False, True] * 2

    class Waits:
        def no_sync(self):
            return "no_sync"

    assert exchange(Waits(), last=False) == "no_sync" and exchange(Waits(), last=True) != "no_sync"


def test_shards_exchange_the_gradients_of_every_part(group_of_one):
    """After a part that is not the last each process holds its shards of them, and nothing whole."""
    model = build()
    fsdp.shard(model, torch.device("cpu"))
    for last in (False, True):
        with distributed.exchange(model, last=last):
            model(Images().pixels, draw(26, torch.Generator().manual_seed(0))).loss.backward()
        learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
        assert learned and all(hasattr(p.grad, "full_tensor") for p in learned.values())


def test_images_on_a_device():
    """`ImageData.to` moves every tensor and nothing else; `batch` then works where they are."""
    data = shapeworld(6, seed=0)
    moved = data.to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"
    assert {each.device.type for each in moved.factors.values()} == {"meta"} and moved.name == data.name
    assert moved.images.shape == data.images.shape and moved.batch(torch.arange(2)).device.type == "meta"
    assert torch.equal(data.to("cpu").batch(), data.batch())


def test_taking_masks():
    masks = Masks(torch.arange(12).view(6, 2), torch.arange(24).view(6, 2, 2))
    part = MaskSets((masks, masks)).rows(slice(2, 4)).sets[1]
    assert part.context.tolist() == [[4, 5], [6, 7]] and part.targets.shape == (2, 2, 2)


def test_recomputing_changes_nothing_and_leaves_nothing():
    (a, b) = run(weight=0.3), run(weight=0.3, recompute=True)
    assert a["rows"] == b["rows"]
    assert all(torch.equal(value, b["model"][name]) for name, value in a["model"].items())
    model, kept = build(), {}
    for recompute in (False, True):
        kept[recompute] = bytes_kept(model, recompute)
    assert kept[True] < 0.5 * kept[False]
    assert all("forward" not in vars(module) for module in model.modules())


def bytes_kept(model, recompute):
    """Bytes that the backward pass will need, counted as they are packed away."""
    counted = {}

    def pack(x):
        counted[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    modules = (model.encoder, model.predictor) if recompute else ()
    with memory.recompute_blocks(*modules), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        model(Images().pixels, draw(26, torch.Generator().manual_seed(0)))
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    return sum(size for place, size in counted.items() if place not in parameters)


def test_float16_scales_its_gradients(monkeypatch, tmp_path):
    """Allowed on the CPU for this test alone: the scaler starts at 65536 and its state is saved."""
    monkeypatch.setattr("minijepa.training.validate.FLOAT16_DEVICES", ("cpu",))
    scales = []
    scale = torch.amp.GradScaler.scale
    monkeypatch.setattr(
        torch.amp.GradScaler, "scale", lambda self, x: scales.append(self.get_scale()) or scale(self, x)
    )

    def small(**settings):
        model = build(0.3).float()
        data = Images()
        data.pixels = data.pixels.float()
        history = fit(model, data, draw, steps=6, batch_size=6, lr=1e-3, **settings)
        return model, [row["loss"] for row in history.rows]

    _, plain = small()
    assert set(scales) == {1.0}
    scales.clear()
    path = tmp_path / "run.pt"
    model, halved = small(precision="float16", checkpoint=path)
    assert set(scales) == {65536.0} and halved == pytest.approx(plain, rel=0.02) and halved != plain
    assert torch.load(path, weights_only=True)["scaler"]["scale"] == 65536.0
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("overflows", ["encoder.norm.bias", "encoder.blocks.0.mlp.fc1.weight"])
def test_a_float16_gradient_that_overflows_leaves_the_step_out_for_all(overflows, monkeypatch):
    """Of AdamW or of Muon, the other must not step either, nor the teacher; then the scale is halved."""
    monkeypatch.setattr("minijepa.training.validate.FLOAT16_DEVICES", ("cpu",))
    model, data, states = build(0.3).float(), Images(), []
    data.pixels = data.pixels.float()
    parameter = model.get_parameter(overflows)
    parameter.register_hook(lambda gradient: gradient * (math.inf if len(states) == 2 else 1.0))

    def remember(step, model, row):
        states.append({name: value.clone() for name, value in model.state_dict().items() if "pos_" not in name})

    more = {"optimizer": "muon", "precision": "float16", "momentum": (0.9, 0.9), "callbacks": [remember]}
    fit(model, data, draw, steps=4, batch_size=6, lr=1e-2, **more)
    for step in (1, 2, 3):
        moved = {name for name, value in states[step].items() if not torch.equal(value, states[step - 1][name])}
        assert moved == (set() if step == 2 else set(states[0])), step


if __name__ == "__main__":
    if sys.argv[1].startswith("{"):
        with distributed.session(timeout=30):
            run(**json.loads(sys.argv[1]))
    else:
        worker(int(sys.argv[1]))


# --- a machine whose name leads nowhere ---

ALONE = ("--standalone", "--local-addr=127.0.0.1")


def launches(text):
    """The lines of a text that start several processes; a line that ends in a backslash goes on."""
    return [line for line in text.replace("\\\n", " ").splitlines() if "--nproc-per-node" in line]


def faults(text):
    """Commands for one machine that look for it by its name."""
    return [
        line for line in launches(text) if "--rdzv-endpoint" not in line and not all(word in line for word in ALONE)
    ]


def test_every_command_for_one_machine_needs_no_name():
    """In pages, scripts, docstrings and notebooks; those for several machines give the first one's address."""
    places = [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.*"), *(REPO / "minijepa").rglob("*.py")]
    places += [*REPO.glob("notebooks/*.ipynb"), *REPO.glob("solutions/*/*.ipynb"), *REPO.glob("exercises/*/*.ipynb")]
    texts = {
        path: path.read_text(encoding="utf-8") for path in places if path.suffix in (".md", ".sh", ".py", ".ipynb")
    }
    assert sum(len(launches(text)) for text in texts.values()) >= 12
    assert {path.name: lines for path, text in texts.items() if (lines := faults(text))} == {}
    assert faults("torchrun --standalone --nproc-per-node=2 x.py") and faults("torchrun --nproc-per-node=2 x.py")


def test_every_launch_of_a_notebook_has_a_time_limit():
    for path in REPO.glob("notebooks/*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and "subprocess.run(" in source:
                assert re.search(r"subprocess\.run\([^\n]*timeout=\d+", source), path.name


NAMELESS = ["unshare", "--map-root-user", "--uts", "sh", "-c", 'hostname nowhere.invalid && exec "$@"', "sh"]


def test_a_machine_without_a_name_in_the_network_trains(tmp_path):
    """A laptop that has left its network, on Linux: a name that leads nowhere. Without the flag this waits forever."""
    if not shutil.which("unshare") or subprocess.run([*NAMELESS, "true"], capture_output=True).returncode:
        pytest.skip("no other name can be tried out on this machine")
    program = (
        "from minijepa import distributed\nwith distributed.session() as team:\n    team.wait()\n    print(team.size)"
    )
    (tmp_path / "two.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", *ALONE, "--nproc-per-node=2", str(tmp_path / "two.py")]
    variables = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    job = subprocess.run([*NAMELESS, *command], env=variables, capture_output=True, text=True, timeout=120)
    assert job.returncode == 0 and job.stdout.count("2") == 2, job.stderr
