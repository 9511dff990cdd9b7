"""The statements that a check needs of a notebook, and no others: the program for its second try.

A cell may break a kernel for all later cells: it ends the kernel, deletes a name, replaces a function of a module, or
fills the memory. So a check that fails is tried again in a new kernel, with the given code and, of the student's cells,
only the statements that give a value to a name that the check needs, or that such a statement needs, and so on.
"""

import ast
import builtins
import symtable

from IPython.core.inputtransformer2 import TransformerManager


def needed(cells, check):
    """The cells to run before `check`: a list of texts.

    cells: (given, text) of all cells before it, in their order; given: the cell is the source's, not the student's.
    check: the text of the check. A student's statement counts only for names that the given code does not set; a plain
    assignment to the name of a builtin (`list = [1, 2]`) does not count.
    """
    statements = [[(given, node, *uses(node)) for node in parsed(text)] for given, text in cells]
    ours = {name for cell in statements for given, _, bound, _ in cell if given for name in bound}
    wanted = set().union(*(used for node in parsed(check) for used in uses(node)))
    kept, grown = set(), True
    while grown:
        grown = False
        for given, node, bound, used in (statement for cell in statements for statement in cell):
            names = bound if given else bound - ours
            if not given and isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.With)):
                names = names - set(dir(builtins))
            if id(node) not in kept and names & wanted:
                kept.add(id(node))
                wanted |= used
                grown = True
    programs = [[ast.unparse(node) for _, node, _, _ in cell if id(node) in kept] for cell in statements]
    return ["\n".join(program) for program in programs if program]


def parsed(text):
    """The statements of a cell, none where Python cannot parse it. Lines with % and ! are read as IPython does."""
    try:
        return ast.parse(TransformerManager().transform_cell(text)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def uses(node):
    """(names that a statement gives a value, names that it reads, also inside the functions that it defines)."""
    try:
        table = symtable.symtable(ast.unparse(node), "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), set()
    symbols = table.get_symbols()
    bound = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    for target in getattr(node, "targets", [getattr(node, "target", None)]):
        while isinstance(target, (ast.Attribute, ast.Subscript)):  # f.calls = 0, cache["a"] = 1
            target = target.value
            bound |= {target.id} if isinstance(target, ast.Name) else set()
    read, tables = {symbol.get_name() for symbol in symbols if symbol.is_referenced()}, table.get_children()
    while tables:
        inner = tables.pop()
        read |= {symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global()}
        tables += inner.get_children()
    return bound, read
