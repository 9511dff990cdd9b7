"""The tools: the benchmark compares two ways to the same gradients, and the notebook builder keeps what matters."""

import contextlib
import importlib.util
from pathlib import Path

import nbformat
import torch

TOOLS = Path(__file__).parents[1] / "tools"


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_arms_of_the_benchmark_do_the_same_arithmetic(monkeypatch):
    bench = load("bench")
    torch.manual_seed(1)
    masks = bench.textbook_masks(4)
    monkeypatch.setattr(bench, "our_masks", lambda: masks)
    monkeypatch.setattr(bench, "textbook_masks", lambda: masks)
    x = torch.randn(4, 3, 32, 32)
    gradients = []
    for step in (bench.our_step, bench.textbook_step):
        jepa = bench.build()
        step(jepa, torch.optim.SGD(jepa.parameters(), lr=0.0), x, contextlib.nullcontext())
        gradients.append([p.grad for p in [*jepa.encoder.parameters(), *jepa.predictor.parameters()]])
    for ours, textbook in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, textbook, atol=1e-6, rtol=1e-4)


def test_both_arms_draw_masks_of_one_kind():
    bench = load("bench")
    for masks in (bench.our_masks(8), bench.textbook_masks(8)):
        assert masks.context.shape == (8, bench.CONTEXT) and masks.targets.shape == (8, bench.N_TARGETS, 12)
        for context, target in zip(masks.context, masks.targets, strict=True):
            assert not set(context.tolist()) & set(target.flatten().tolist())


def test_building_a_notebook_runs_it_and_drops_the_noise(tmp_path):
    build = load("build_notebooks")
    path = tmp_path / "small.ipynb"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("print(1 + 1)")]
    )
    notebook.metadata["widgets"] = {"state": {}}
    nbformat.write(notebook, path)
    build.execute(path)
    done = nbformat.read(path, as_version=4)
    assert [cell.id for cell in done.cells] == ["cell-01", "cell-02"]
    assert done.cells[1].outputs[0].text == "2\n" and done.cells[1].execution_count == 1
    assert "widgets" not in done.metadata and "execution" not in done.cells[1].metadata
    assert done.metadata.minijepa.executed_code == build.code_hash(done)
    done.cells[1].source = "print(3)"
    assert done.metadata.minijepa.executed_code != build.code_hash(done)  # so `make notebooks` runs it again
