"""What a reader may rely on: every public name says what it is, what shapes it takes, how it fails."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import minijepa

PACKAGE = Path(minijepa.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# arguments of these names are tensors (or Masks), and their shapes must be stated
TENSORS = set(
    "x z y tokens index keep prediction target targets context masks features positions inside free train"
    " test images labels".split()
)

# (file, name): why an argument of such a name is no tensor there
NOT_TENSORS = {
    ("fit.py", "fit"): "`masks` is a function that draws them",
    ("batches.py", "Batches"): "`masks` is a function that draws them",
    ("validate.py", "check_method"): "`masks` is a function that draws them",
    ("train.py", "steps_in"): "`masks` is a function that draws them",
    ("table.py", "probe_table"): "`train` is a data set",
}
SHAPE = re.compile(r"\[[^\[\]]*(?:[A-Z]|\.\.\.|length|tokens|count|batch|rows)[^\[\]]*\]")


def public_definitions(tree):
    """(name, node, the docstrings that speak for it) of all public functions, classes and methods."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            own = ast.get_docstring(node) or ""
            yield node.name, node, [own]
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef):
                    is_public = not method.name.startswith("_") or method.name in ("__init__", "__call__")
                    if is_public:
                        yield f"{node.name}.{method.name}", method, [ast.get_docstring(method) or "", own]


DEFINITIONS = [
    (path.name, *definition)
    for path in FILES
    for definition in public_definitions(ast.parse(path.read_text(encoding="utf-8")))
]


def parameters(node):
    if isinstance(node, ast.ClassDef):
        return set()
    arguments = node.args
    return {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}


def raised(node):
    """Names of the exceptions that this body raises itself, nested functions left out."""
    names, open_nodes = set(), list(ast.iter_child_nodes(node)) if isinstance(node, ast.FunctionDef) else []
    while open_nodes:
        child = open_nodes.pop()
        if isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            call = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            names.add(call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", ""))
        open_nodes.extend(ast.iter_child_nodes(child))
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_what_its_idea_is(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring and len(docstring.split("\n")[0].split()) >= 4


@pytest.mark.parametrize("name", sorted(minijepa.__all__))
def test_every_public_name_has_a_docstring(name):
    thing = getattr(minijepa, name)
    if callable(thing) or inspect.ismodule(thing):
        docstring = thing.__doc__ or ""
        assert docstring.strip() and not docstring.startswith(f"{name}("), f"minijepa.{name} needs a docstring"


def test_all_names_what_the_package_offers():
    assert len(minijepa.__all__) == len(set(minijepa.__all__))
    assert {"ViT", "block_masks", "Predictor", "EMATeacher", "JEPA", "fit", "linear_probe"} <= set(minijepa.__all__)


def test_every_definition_has_a_docstring():
    """A class may speak for its constructor, and for the one method that it is made for."""
    silent = []
    for file, name, _, docs in DEFINITIONS:
        by_class = name.split(".")[-1] in ("__init__", "forward", "__call__")
        if not docs[1 if by_class else 0]:
            silent.append(f"{file}: {name}")
    assert len(DEFINITIONS) > 100 and not silent


def test_tensor_arguments_have_shapes():
    silent, seen = [], set()
    for file, name, node, docs in DEFINITIONS:
        tensors = parameters(node) & TENSORS
        if (file, name.split(".")[0]) in NOT_TENSORS:
            seen.add((file, name.split(".")[0]))
        elif tensors and not SHAPE.search("\n".join(docs)):
            silent.append(f"{file}: {name} takes {sorted(tensors)}: state the shape in [brackets]")
    assert not silent
    assert seen == set(NOT_TENSORS), "an exception that nothing needs any more"


def test_errors_are_announced():
    silent = []
    for file, name, node, docs in DEFINITIONS:
        if name.startswith("check_"):
            continue  # it does nothing but raise, and its first sentence states the condition
        missing = {error for error in raised(node) - {"", "SystemExit"} if error not in "\n".join(docs)}
        if missing:
            silent.append(f"{file}: {name} raises {sorted(missing)}; its docstring must say when")
    assert not silent
