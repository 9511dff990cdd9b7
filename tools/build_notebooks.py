"""Run notebooks and write them back in the form that is committed: executed in order, with outputs, without noise.

    python tools/build_notebooks.py                      every notebook under notebooks/ whose code changed
    python tools/build_notebooks.py notebooks/03*.ipynb  these, changed or not
    python tools/build_notebooks.py --check              run nothing; name the notebooks that need a run

The run is the one that the tests make: one kernel per notebook, all cells, no shortened mode. If a cell fails, the
program stops and the file on the disk stays as it was.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent


def code_hash(notebook):
    """Fingerprint of what the outputs depend on: the code cells, in order."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def normalise(notebook):
    """Drop what differs between machines and runs without a meaning: timings, widget state, kernel versions."""
    stamp = code_hash(notebook)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "minijepa": {"executed_code": stamp},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        cell.metadata.pop("collapsed", None)
        if cell.cell_type == "code":
            cell.outputs = join([merge(output) for output in cell.outputs if not empty(output)])
    return notebook


def merge(output):
    """Remove the live widget from an output that also holds a static picture."""
    output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return output


def join(outputs):
    """Join the pieces of a stream that the kernel sent one by one, since where they end depends on timing."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def empty(output):
    """Whether an output holds nothing but a live widget."""
    data = output.get("data")
    return data is not None and set(data) == {"application/vnd.jupyter.widget-view+json"}


def execute(path):
    """Run one notebook in its own folder and, if every cell succeeded, replace the file atomically."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(path.parent)}})  # fmt: skip
    client.execute()
    for number, cell in enumerate(notebook.cells, start=1):  # a tag lets cells of an assignment go on
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise RuntimeError(f"{path.name}: cell {number} ended in {output.ename}: {output.evalue}")
    part = path.with_suffix(".part")
    nbformat.write(normalise(notebook), part)
    part.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="run nothing, fail if a notebook needs a run")
    arguments = parser.parse_args()
    paths = arguments.notebooks or [*sorted(ROOT.glob("notebooks/*.ipynb")), *sorted(ROOT.glob("solutions/*/*.ipynb"))]
    stale = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        if arguments.notebooks or notebook.metadata.get("minijepa", {}).get("executed_code") != code_hash(notebook):
            stale.append(path.resolve())
    for path in stale:
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if arguments.check:
            print(f"{name}: its code changed since it was run; run `make notebooks`")
            continue
        start = time.perf_counter()
        execute(path)
        print(f"{name}: run in {time.perf_counter() - start:.0f} s")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
