"""What consoles do differently: names with a star, which the shells of Windows leave to the program."""

from minijepa.machine.console import each_file


def test_a_name_with_a_star_stands_for_all_that_fit(tmp_path):
    for name in ("b.py", "a.py", "c.txt"):
        (tmp_path / name).write_text("")
    found = each_file([tmp_path / "c.txt", tmp_path / "*.py"])
    assert [path.name for path in found] == ["c.txt", "a.py", "b.py"]


def test_what_fits_nothing_stays_as_it_was_typed(tmp_path):
    assert each_file(["none/*.py", "plain.py"]) == each_file(["none/*.py"]) + each_file(["plain.py"])
    assert [str(path) for path in each_file(["plain.py"])] == ["plain.py"]
    assert each_file([tmp_path / "*.py"]) == [tmp_path / "*.py"]


def test_a_bracket_in_the_name_of_a_file_is_no_pattern(tmp_path):
    (tmp_path / "notebook [1].py").write_text("")
    assert each_file([tmp_path / "notebook [1].py"]) == [tmp_path / "notebook [1].py"]
