"""environment.yml, for conda, must require what pyproject.toml requires, and nothing from other channels."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml  # installed with timm and with JupyterLab's server

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # installed with pytest and JupyterLab on Python 3.10

REPO = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # all other packages have the same name in both
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)")


def requirements(lines):
    """{name: lower bound} of requirements that have a lower bound and nothing else; fails on any other."""
    matches = {line: REQUIREMENT.fullmatch(line) for line in lines}
    assert all(matches.values()), f"not name>=version: {[line for line, m in matches.items() if not m]}"
    return {m[1]: m[2] for m in matches.values()}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load((REPO / "environment.yml").read_text(encoding="utf-8"))


def test_same_packages_and_lower_bounds(project, conda):
    lines = [d for d in conda["dependencies"] if isinstance(d, str)]
    lines = [d for d in lines if d.split("=")[0] not in ("python", "pip")]
    expected = {CONDA_NAMES.get(n, n): bound for n, bound in requirements(project["dependencies"]).items()}
    assert requirements(lines) == expected


def test_only_conda_forge(conda):
    assert conda["channels"] == ["conda-forge", "nodefaults"]
    assert not any("::" in d for d in conda["dependencies"] if isinstance(d, str))


def test_pip_adds_the_course_alone(conda):
    assert [d for d in conda["dependencies"] if not isinstance(d, str)] == [{"pip": ["-e ."]}]
    assert "pip" in conda["dependencies"]


def test_python_is_a_minor_that_the_package_supports(project, conda):
    (python,) = [d for d in conda["dependencies"] if isinstance(d, str) and d.startswith("python=")]
    minor = re.fullmatch(r"python=(3\.\d+)", python)
    assert minor, f"{python} should pin a minor version, as in python=3.12"
    assert f"Programming Language :: Python :: {minor[1]}" in project["classifiers"]


def skips(path):
    """{package: [reason or None, ...]} for each package without which a test file skips tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {node.targets[0].id: node.value for node in tree.body
                 if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}  # fmt: skip
    found = {}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "importorskip":
            reason = {each.arg: each.value for each in call.keywords}.get("reason")
            reason = constants[reason.id] if isinstance(reason, ast.Name) else reason
            found.setdefault(ast.literal_eval(call.args[0]), []).append(reason and ast.literal_eval(reason))
    return found


def test_a_skip_for_a_missing_package_says_how_to_install_it(project):
    extras = project["optional-dependencies"].values()
    optional = [name.replace("-", "_") for extra in extras for name in requirements(extra)]  # as they are imported
    seen = {(name, reason) for path in (REPO / "tests").glob("*.py") for name, reasons in skips(path).items()
            for reason in reasons if name in optional}  # fmt: skip
    assert {name for name, _ in seen} == set(optional)
    assert [name for name, reason in seen if "`make test` installs it" not in (reason or "")] == []
