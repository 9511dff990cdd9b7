"""What a right answer to each assignment must satisfy, with a hint for each typical mistake.

One module per assignment: `from minijepa.checks import masks as check`, then `check.block_indices(my_function)`. A
check prints one line if the answer is right, and raises `CheckFailed` (an AssertionError) if not: the case, what came,
what was expected, and a hint. It needs no grader: it works in a notebook, in pytest and in nbgrader alike.

Who marks with these checks should know that they, and the solutions, are public, and that they run in the student's own
process: see `python -m minijepa.grade`.
"""

from minijepa.checks.report import CheckFailed

__all__ = ["CheckFailed"]
