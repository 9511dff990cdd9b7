"""The notebook builder: it keeps what matters and drops the noise. test_bench.py tests the benchmark."""

import nbformat
import pytest
from helpers import load_tool


def test_building_a_notebook_runs_it_and_drops_the_noise(tmp_path):
    build = load_tool("build_notebooks")
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


def test_a_cell_that_may_fail_and_does_is_not_written_back(tmp_path):
    path = tmp_path / "small.ipynb"
    cell = nbformat.v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="small.ipynb: cell 1 ended in ZeroDivisionError"):
        load_tool("build_notebooks").execute(path)
    assert path.read_bytes() == before
