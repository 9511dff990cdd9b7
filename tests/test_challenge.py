"""The challenge: a fixed budget, hidden probes, and each way of cheating that it promises to catch, tried.

Processes are forked from this one where the system can, so that each cheat costs a second and not ten.
"""

import io
import json
import os
import signal
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from helpers import REPO, planted, seeded
from torch.utils.flop_counter import FlopCounterMode

from minijepa import challenge
from minijepa.contest import budget, checks, child, guard, leaderboard, process, score, submission
from minijepa.contest.budget import Budget, Meter
from minijepa.contest.submission import Refused
from minijepa.contest.tracks import WORLD, Planning, Representation, draw, seed_for
from minijepa.datasets import shapeworld
from minijepa.vit import ViT

SMALL = replace(Representation(), budget=Budget(200, 1e11), images=64, labelled=150, hidden=100)
ROOMS = replace(Planning(), budget=Budget(400, 1e10), walks=20, tasks=4)
LIMITS = process.Limits(minutes=5)
HONEST = """
import torch
from torch import nn
from minijepa.family import mae
NAME = "honest"
TRAINING = {"batch_size": 8, "lr": 1e-3, "steps": 4}
masks = mae.masks
model = mae.model
"""


def start_fork(folder):
    """A child that is forked: stdin, stdout, pid, kill and wait, as of subprocess.Popen."""
    (order, write), (read, answer) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(order, 0)
            os.dup2(answer, 1)
            os.close(write)
            os.close(read)
            sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False))
            os.chdir(folder)
            child.main()
        finally:
            os._exit(1)
    os.close(order)
    os.close(answer)

    class Started:
        stdin, stdout = os.fdopen(write, "wb"), os.fdopen(read, "rb")

        def kill(self):
            os.kill(pid, signal.SIGKILL)

        def wait(self):
            os.waitpid(pid, 0)

    started = Started()
    started.pid = pid
    return started


@pytest.fixture(autouse=True)
def forked(monkeypatch, request):
    """Processes are forked, unless a test is marked to start a real one."""
    if hasattr(os, "fork") and "real" not in request.node.name:
        monkeypatch.setattr(process, "start", start_fork)


def trained(text, track=SMALL, seed=5, **more):
    """The Run of a text."""
    return process.train(text, track, seed, "first", more.pop("limits", LIMITS), **more)


@pytest.fixture(scope="module")
def honest():
    """The Run of the honest submission, for comparison."""
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(os, "fork"):
            patch.setattr(process, "start", start_fork)
        return trained(HONEST)


# --- the budget ---


def test_operations_are_those_of_a_closed_form_and_of_pytorch():
    x, w = torch.randn(6, 8, requires_grad=True), torch.randn(8, 5, requires_grad=True)
    meter = Meter(Budget(10, 1e9), pytest.fail)
    with meter:
        (x @ w).sum().backward()
    assert meter.operations == 3 * 2 * 6 * 8 * 5  # forward, and a product of the same size for x and for w
    model = ViT.size("nano", img_size=32, patch_size=4)
    images = torch.randn(2, 3, 32, 32)
    with FlopCounterMode(display=False) as theirs:
        model(images).sum().backward()
    ours = Meter(Budget(10, 1e12), pytest.fail)
    with ours:
        model(images).sum().backward()
    assert ours.operations == theirs.get_total_flops() > 1e8


def test_products_with_a_vector_attention_and_inference_mode_are_counted():
    meter = Meter(Budget(10, 1e9), pytest.fail)
    with meter:
        torch.ones(6, 8) @ torch.ones(8)
    assert meter.operations == 2 * 6 * 8
    with meter, torch.inference_mode():
        torch.nn.functional.linear(torch.ones(6, 8), torch.ones(5, 8))
    assert meter.operations == 2 * 6 * 8 + 2 * 6 * 8 * 5
    before = meter.operations
    with meter:
        torch.nn.functional.scaled_dot_product_attention(*(torch.ones(1, 2, 4, 8) for _ in range(3)))
    assert meter.operations - before == 2 * (2 * 2 * 4 * 4 * 8)


def test_the_first_excess_is_reported():
    said = []
    meter = Meter(Budget(10, 1000), said.append)
    meter.draw(10)
    with pytest.raises(RuntimeError, match="11 samples drawn of 10"):
        meter.draw(1)
    with meter, pytest.raises(RuntimeError, match="operations"):
        torch.ones(10, 10) @ torch.ones(10, 10)
    assert len(said) == 2 and "lower `steps`" in said[0]
    with pytest.raises(ValueError, match="raise --budget"):
        Budget(100, 1e6).scaled(0.001)


@pytest.mark.parametrize(
    "old, new",
    [
        ("self.operations += PLAIN[function]", "self.operations += 0 * PLAIN[function]"),
        ("self.samples += count", "self.samples += 0"),
    ],
)
def test_a_planted_budget_that_is_not_counted_is_found(old, new):
    broken = planted(budget, old, new)
    meter = broken.Meter(broken.Budget(10, 1e9), pytest.fail)
    with meter:
        calibrated = meter.calibrated()
    meter.draw(3)
    assert not calibrated or meter.samples != 3
    sound = Meter(Budget(10, 1e9), pytest.fail)
    with sound:
        assert sound.calibrated() and sound.operations == 0


# --- cheats: each is a submission ---

CHEATS = {
    "reads test data": ("open('/etc/hostname').read()", "reads the file"),
    "reads weights": ("from minijepa import load_pretrained\nload_pretrained()", "reads the file"),
    "reads weights past Python": ("import safetensors\nsafetensors.safe_open('x', 'pt')", "a file of weights"),
    "caches weights": ("torch.save(torch.ones(2), 'cache.pt')", "reads or writes a file of weights"),
    "writes a file": ("open('cache', 'wb')", "writes the file"),
    "draws labelled data": ("from minijepa.datasets import shapeworld\nshapeworld(10)", "draws labelled data"),
    "searches the memory": ("import gc\ngc.get_objects()", "searches the memory"),
    "a thread": ("import threading\nthreading.Thread(target=print).start()", "starts a thread"),
    "a program": ("import subprocess\nsubprocess.run(['ls'])", "starts a program"),
    "online": ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "opens a connection"),
    "compiled code": ("import ctypes\nctypes.CDLL('libc.so.6')", "calls compiled code"),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_what_a_submission_may_not_do_ends_it(cheat):
    code, reason = CHEATS[cheat]
    swallowed = f"try:\n    exec({code!r})\nexcept BaseException:\n    pass\n"
    with pytest.raises(Refused, match=reason):
        trained(HONEST + swallowed)


def in_masks(code):
    """The honest submission with some lines before its masks are drawn."""
    return f"{HONEST}def masks(batch, generator=None):\n    {code}\n    return mae.masks(batch, generator)\n"


def test_exceeding_the_budget_is_refused():
    with pytest.raises(Refused, match="the budget is exceeded .*samples.*lower `steps`"):
        trained(HONEST.replace('"steps": 4', '"steps": 40'))
    late = """x = torch.ones(5000, 5000)
    masks.calls = getattr(masks, "calls", 0) + 1
    if masks.calls > 3: x @ x"""
    with pytest.raises(Refused, match="the budget is exceeded .*operations"):
        trained(in_masks(late))


def test_a_counter_that_was_patched_is_found():
    patch = "from minijepa.contest import budget\nbudget.PLAIN.clear()\nbudget.price_of = lambda function: None\n"
    with pytest.raises(Refused, match="counts no longer"):
        trained(HONEST + patch)


LABELS = """import sys
    frame = sys._getframe()
    while frame and not hasattr(frame.f_locals.get('data'), 'labels'): frame = frame.f_back
    if frame: torch.manual_seed(int(frame.f_locals['data'].labels.sum())), model_bias.add_(torch.rand(()))"""


def test_using_labels_changes_the_weights_and_is_refused(honest):
    checks.check_labels(honest, HONEST, SMALL, 5, "second", LIMITS)
    code = in_masks(LABELS) + (
        "def model(encoder):\n    global model_bias\n    model_bias = encoder.norm.bias.data\n"
        "    return mae.model(encoder)\n"
    )
    first = trained(code)
    with pytest.raises(Refused, match="depend on the labels"):
        checks.check_labels(first, code, SMALL, 5, "second", LIMITS)


def test_random_numbers_without_a_seed_are_no_use_of_labels():
    code = in_masks("generator = torch.Generator(); generator.seed()")
    with pytest.raises(Refused, match="also with the same labels: draw every random number"):
        checks.check_labels(trained(code), code, SMALL, 5, "second", LIMITS)


def test_ignoring_the_seed_is_refused(honest):
    checks.check_seed(honest, HONEST, SMALL, 5, "second", LIMITS)
    code = HONEST + (
        "def model(encoder):\n    torch.manual_seed(0)\n"
        "    from minijepa.vit import ViT\n"
        "    encoder.load_state_dict(ViT.size('nano', img_size=32, patch_size=4).state_dict())\n"
        "    return mae.model(encoder)\n"
    )
    with pytest.raises(Refused, match="the seed is ignored"):
        checks.check_seed(trained(code), code, SMALL, 5, "second", LIMITS)


def test_a_submission_that_hangs_or_takes_all_memory_is_stopped():
    with pytest.raises(Refused, match="stopped after"):
        trained(HONEST + "while True: pass", limits=process.Limits(minutes=0.1))
    with pytest.raises(Refused, match="memory|stopped above|ended without an answer|allocate"):
        trained(HONEST + "x = torch.ones(3_000_000_000)", limits=process.Limits(minutes=2, megabytes=2000))


def test_patching_the_scorer_changes_no_score(honest):
    patch = (
        "from minijepa.contest import score, tracks, checks\nfor each in (score.skills, score.encoder):\n"
        "    setattr(score, each.__name__, lambda *_, **__: {'skill': 1.0})\n"
        "from minijepa.probes import linear\nlinear.ridge_probe = score.ridge_probe = lambda *_, **__: 1.0\n"
    )
    run = trained(HONEST + patch)
    assert checks.same_bits(run.final, honest.final) == []
    scores, _ = SMALL.score(checks.rebuilt(run, SMALL, 5), 5)
    assert scores == SMALL.score(checks.rebuilt(honest, SMALL, 5), 5)[0] and scores["skill"] < 0.7


def test_a_submission_that_fails_says_where():
    with pytest.raises(Refused, match=r'(?s)submission.py", line \d+.*1 / 0.*ZeroDivisionError'):
        trained(HONEST + "1 / 0")
    with pytest.raises(Refused, match="has no model"):
        trained("NAME = 'x'\nTRAINING = {}")
    with pytest.raises(Refused, match="TRAINING has 'checkpoint'; a submission may set steps"):
        trained(HONEST + "TRAINING['checkpoint'] = 'x'")
    with pytest.raises(Refused, match="more than the budget of 60 "):
        trained(HONEST.replace('"batch_size": 8', '"batch_size": 64'), replace(SMALL, budget=Budget(60, 1e12)))


# --- what the parent does by itself ---


def test_what_the_guard_lets_through():
    folders = guard.code_folders()
    assert guard.offence("open", (torch.__file__, "r", 0), folders) is None
    assert guard.offence("import", ("torch",), folders) is None
    assert "writes" in guard.offence("open", (torch.__file__, "a", 0), folders)
    assert "writes" in guard.offence("open", (torch.__file__, None, os.O_RDWR), folders)
    assert "reads" in guard.offence("open", (str(REPO / "exercises/challenge/submission.py"), "r", 0), folders)
    assert "reads" in guard.offence("open", (5, "rb", 0), folders)
    assert guard.offence("ctypes.dlopen", (None,), folders) is None
    assert guard.offence("os.exec", ("ls", (), {}), folders)


def test_files_that_are_no_submission(tmp_path):
    long, broken = tmp_path / "long.py", tmp_path / "broken.py"
    long.write_text("#" * (submission.LONGEST + 1))
    broken.write_text("def")
    for path, words in ((long, "leave out data and weights"), (broken, "cannot be read"), (tmp_path, "no Python file")):
        with pytest.raises(Refused, match=words):
            submission.read(path)


def test_weights_that_do_not_fit_or_are_no_numbers(honest):
    name = "encoder.norm.bias"
    for value, words in ((torch.zeros(3), "do not fit"), (torch.full((96,), float("nan")), "no numbers")):
        run = process.Run(final={**honest.final, name: value})
        with pytest.raises(Refused, match=words):
            checks.rebuilt(run, SMALL, 5)
    with pytest.raises(Refused, match="cannot be read"):
        process.weights(b"no weights")


def test_hidden_data_follow_from_the_seed_and_are_others_than_those_handed_out():
    handed, again = SMALL.handout(5, "a"), SMALL.handout(5, "b")
    assert torch.equal(handed["images"], again["images"]) and not torch.equal(handed["labels"], again["labels"])
    truth = shapeworld(64, seed=seed_for("train", 5), colour="grey").labels
    assert (handed["labels"] == truth).float().mean() < 0.4  # chance is 0.1
    assert len({seed_for(purpose, 5) for purpose in ("train", "labelled", "hidden", "tasks", "run")}) == 5
    assert not torch.equal(draw("hidden", 64, 5).images, handed["images"])
    assert not torch.equal(draw("hidden", 64, 6).images, draw("hidden", 64, 5).images)


def vectors_of(labelled, hidden, kind):
    """Vectors of two data sets that know everything, or nothing. labelled, hidden: ImageData [N, 3, H, W]."""
    if kind == "nothing":
        return [torch.randn(len(data), 100, generator=seeded(i)) for i, data in enumerate((labelled, hidden))]
    names = sum(score.FACTORS.values(), ())
    return [
        torch.cat([torch.eye(10)[data.labels], *(data.factors[name].flatten(1) for name in names)], dim=1)
        for data in (labelled, hidden)
    ]


def shuffled(data, generator):
    """The same images, in another order. data: ImageData [N, 3, H, W]."""
    return data.subset(torch.randperm(len(data), generator=generator))


def faults(module):
    """What is wrong with a scorer, in words: it must see all that is there, nothing else, and in no order."""
    labelled, hidden = draw("labelled", 400, 1), draw("hidden", 300, 1)
    one = module.skills(vectors_of(labelled, hidden, "all"), labelled, hidden)
    found = [] if min(one.values()) > 0.9 else ["it misses what is there"]
    nothing = module.skills(vectors_of(labelled, hidden, "nothing"), labelled, hidden)
    found += [] if nothing["skill"] < 0.05 else ["it finds what is not there"]
    ordered = hidden.subset(hidden.labels.argsort())
    sorted_one = module.skills(vectors_of(labelled, ordered, "nothing"), labelled, ordered)
    return found + ([] if sorted_one["skill"] < 0.05 else ["it reads the order of the labels"])


def test_the_scorer_sees_what_is_there_and_nothing_else():
    assert faults(score) == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("    train, test = vectors\n", "    train, test = vectors_and_order(vectors, labelled, hidden)\n"),
        ("ridge_probe(train, truth[0], test, truth[1])", "ridge_probe(train, truth[0], train, truth[0])"),
        ("linear_probe(train, labelled.labels, test, hidden.labels, c=0.1)", "1.0"),
    ],
)
def test_a_planted_scorer_that_reads_the_order_of_labels_or_scores_its_own_training_is_found(old, new):
    broken = planted(score, old, new)

    def vectors_and_order(vectors, *data):
        place = [each.labels.argsort().argsort()[:, None].float() / len(each) for each in data]
        one_hot = [(10 * p).long().clamp(max=9).flatten() for p in place]
        return [torch.cat([v, torch.eye(10)[o]], dim=1) for v, o in zip(vectors, one_hot, strict=True)]

    broken.vectors_and_order = vectors_and_order
    assert faults(broken) != []


def test_the_monitors_name_a_collapse():
    hidden = draw("hidden", 100, 1)
    encoder = ViT.size("nano", img_size=32, patch_size=4)
    assert score.monitors(encoder, hidden)["verdict"] == "healthy"
    for parameter in encoder.norm.parameters():
        torch.nn.init.zeros_(parameter)
    assert score.monitors(encoder, hidden)["verdict"] == "complete"


def test_planning_from_weights_alone():
    run = trained(submission.read(REPO / "exercises/challenge/planning.py"), ROOMS)
    assert run.done["samples"] == 240 and run.plan["steps"] == 1  # 48 clips of 5 frames, of 400 frames
    scores, monitors = ROOMS.score(checks.rebuilt(run, ROOMS, 5), 5)
    assert 0 <= scores["success"] <= 1 and monitors["verdict"] in ("healthy", "dimensional", "complete")
    assert score.oracle(WORLD, ROOMS.hidden(5))["success"] >= 0.5


# --- the leaderboard ---


def row(name, value, refused="", baseline=False, seed=1, file=None):
    words = {"file": file or f"{name}.py", "name": name, "baseline": baseline, "refused": refused, "hardware": {}}
    part = {"scores": {} if refused else {"skill": value}, "monitors": {} if refused else {"verdict": "healthy"}}
    return {"track": "representation", "seed": seed, "budget": {"samples": 1000, "operations": 1e12}, "main": "skill",
            "used": {}, **words, **part}  # fmt: skip


class Page(HTMLParser):
    """Tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_results_accumulate_and_a_file_replaces_itself_alone(tmp_path):
    rows = []
    for each in (row("one", 0.2), row("two", 0.5), row("one", 0.3), row("one", 0.9, seed=2)):
        rows = leaderboard.added(rows, each)
    leaderboard.write(tmp_path, rows)
    again = leaderboard.read(tmp_path)
    assert [(r["name"], r["seed"]) for r in again] == [("two", 1), ("one", 1), ("one", 2)]
    assert [r["name"] for r in leaderboard.ranked(again[:2])] == ["two", "one"]
    (tmp_path / leaderboard.JSON).write_text(json.dumps({"version": 9, "rows": []}))
    with pytest.raises(ValueError, match="version 9, expected 1"):
        leaderboard.read(tmp_path)


def test_the_page_is_self_contained_accessible_and_escaped():
    rows = [
        row("<script>alert(1)</script>", 0.4),
        row("I-JEPA", 0.5, baseline=True),
        row("bad", 0, refused="<b>no</b>"),
    ]
    page = Page(leaderboard.page(rows))
    kinds = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "b"} & set(kinds) and "http" not in leaderboard.page(rows)
    assert ("html", {"lang": "en"}) in page.tags and kinds.count("caption") == 1 and kinds.count("h1") == 1
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert "<script>alert(1)</script>" in page.text and "<b>no</b>" in page.text and "(baseline)" in page.text


def test_a_page_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    leaderboard.write(tmp_path, [row("one", 0.2)])
    before = (tmp_path / leaderboard.JSON).read_text()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError):
        leaderboard.write(tmp_path, [row("two", 0.2)])
    assert (tmp_path / leaderboard.JSON).read_text() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_the_command_with_real_processes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(challenge, "scaled", lambda track, fraction: ROOMS)
    cheat = tmp_path / "cheat.py"
    cheat.write_text("open('/etc/hostname')")
    mine = REPO / "exercises/challenge/planning.py"
    code = challenge.main([str(cheat), str(mine), "--track", "planning", "--seed", "7", "--out", str(tmp_path / "out")])
    rows = leaderboard.read(tmp_path / "out")
    assert code == 1 and [r["name"] for r in rows if r["refused"]] == ["cheat"]
    assert [r["name"] for r in rows if r["baseline"]] == ["random-init", "random steps", "oracle, exact dynamics"]
    printed = capsys.readouterr().out
    assert "oracle, exact dynamics" in printed and "PLDM" in printed and "reads the file" in printed
    assert (tmp_path / "out" / leaderboard.PAGE).read_text(encoding="utf-8").count("<tr") == 5
