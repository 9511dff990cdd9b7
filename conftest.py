"""What every run of pytest shares: markers, hypothesis without deadlines, and for `make test` the order of the files
and the number of workers."""

from pathlib import Path

import hypothesis
import psutil
import pytest
from joblib import cpu_count

HERE = Path(__file__).parent
MARKERS = {"unit", "notebooks", "assignments", "distributed", "browser"}

# No example is timed, so that a busy or slow machine does not turn a right answer into a failure. The examples are the
# same in every run, so that nobody's `make test` fails over a change that somebody else has made; new ones are looked
# for with `pytest --hypothesis-profile=hunt`.
hypothesis.settings.register_profile("minijepa", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("hunt", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile("minijepa")

# Files that take long, in seconds of one thread. They begin first, so that the last file to end is a short one. Only
# the order depends on these numbers, so they need no upkeep; a file that is not named counts as short.
SECONDS = {
    "notebooks/04_ijepa.ipynb": 300,
    "notebooks/08_vjepa_clips.ipynb": 220,
    "notebooks/14_local_semantics.ipynb": 210,
    "notebooks/16_planning.ipynb": 200,
    "notebooks/18_hierarchy.ipynb": 190,
    "tests/test_distributed.py": 180,
    "tests/test_results.py": 170,
    "tests/test_challenge.py": 70,
    "tests/test_hub.py": 45,
    "notebooks/12_pixels_or_codes.ipynb": 160,
    "notebooks/13_without_a_teacher.ipynb": 160,
    "notebooks/11_which_transform.ipynb": 150,
    "notebooks/17_slow_features.ipynb": 150,
    "notebooks/19_surprise.ipynb": 150,
    "notebooks/20_zero_shot_rl.ipynb": 120,
    "notebooks/21_sound.ipynb": 150,
    "notebooks/22_series_and_paths.ipynb": 160,
    "notebooks/23_language.ipynb": 150,
    "notebooks/24_many_modalities.ipynb": 140,
    "notebooks/25_open_questions.ipynb": 75,
    "notebooks/06_probes.ipynb": 150,
    "notebooks/07_energy.ipynb": 150,
    "notebooks/05_collapse.ipynb": 140,
    "tests/test_encoders.py": 140,
    "tests/test_book.py": 70,
    "notebooks/00_start_here.ipynb": 120,
    "notebooks/09_scale_up.ipynb": 110,
    "tests/test_exercises.py": 135,
    "tests/test_grade_pranks.py": 100,
    "tests/test_bare.py": 90,
    "notebooks/01_what_to_predict.ipynb": 80,
    "notebooks/15_world_model.ipynb": 80,
    "tests/test_train_trouble.py": 80,
    "tests/test_grade.py": 50,
    "tests/test_threads.py": 50,
    "tests/test_bench.py": 40,
}
MEMORY = 4e9  # bytes for a worker: a notebook takes up to 3 GB


def pytest_xdist_auto_num_workers():
    """`-n auto`: one worker per core that this process may use (affinity and quota), as far as the memory allows."""
    return max(1, min(cpu_count(), round(psutil.virtual_memory().total / MEMORY)))


def pytest_collection_modifyitems(config, items):
    """Give each test without one of our markers a marker, so that `-m` never loses a test; put long files first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -SECONDS.get(item.path.relative_to(HERE).as_posix(), 0))  # stable within a file
    for item in items:
        if MARKERS & {mark.name for mark in item.iter_markers()}:
            continue
        if item.path.suffix == ".ipynb":
            in_course = item.path.relative_to(HERE).parts[0] == "notebooks"
            item.add_marker(pytest.mark.notebooks if in_course else pytest.mark.assignments)
        else:
            item.add_marker(pytest.mark.unit)
