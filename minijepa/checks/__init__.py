"""What a right answer to each assignment must satisfy, with a hint for each typical mistake.

One folder per assignment and one file per exercise, which holds its specification, cases, typical mistakes, picture
and check. After `from minijepa.checks import masks as check`, `check.show_block_indices(my_function)` draws the picture
and `check.block_indices(my_function)` runs the check. It prints one line if the answer is right, and raises
`CheckFailed` (an AssertionError) if not: the case, the answer, the expected answer, and a hint. It works without a
grader, in a notebook, in pytest and in nbgrader alike.

These checks and the solutions are public, and the checks run in the student's own process. If you mark with them, read
`python -m minijepa.grade --help` first.
"""

from minijepa.checks.report import CheckFailed

__all__ = ["CheckFailed"]
