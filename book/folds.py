"""What a reader opens when ready: the answer to a prediction, and the code of a cell that only draws.

A fold is a native <details>: the keyboard reaches it, no script is needed, and search and print see what is in it.
"""

import ast
import re

from docutils import nodes

PREDICT = re.compile(r"Predict\b")
WHAT_HAPPENED = re.compile(r"What happened\b")
STILLS = re.compile(r"Still picture of (\d+) states; run the cell to move the controls\.")
INSTRUCTION = re.compile(r"\b(?:[Mm]ove|[Dd]rag|[Cc]hoose|slider|explorer)\b")


class fold(nodes.General, nodes.Element):  # noqa: N801, as docutils writes the names of its nodes
    """Something closed, with the words on which a reader clicks in its attribute `summary`."""


def visit_fold(translator, node):
    translator.body.append(translator.starttag(node, "details"))
    translator.body.append(f"<summary>{node['summary']}</summary>\n")


def depart_fold(translator, node):
    translator.body.append("</details>\n")


def arrange(app, doctree):
    """Fold a page; put the notice that a picture is still above the words that ask to move it."""
    if str(app.env.doc2path(app.env.docname)).endswith(".ipynb"):
        announce_stills(doctree)
        fold_code_of_figures(doctree)
        fold_answers(doctree)


# --- answers to predictions ---


def fold_answers(doctree):
    """In each section: from the first cell after a prediction to the words that say what happened."""
    for section in list(doctree.findall(nodes.section)):
        start = 0
        while (span := answer(section.children, start)) is not None:
            first, end = span
            folded = fold("", *section.children[first:end], summary="Show what happened", classes=["answer"])
            section[first:end] = [folded]
            start = first + 1


def answer(blocks, start):
    """(first, end) of the next answer in the blocks of a section, None without one.

    It begins with the first cell after the prediction. It ends with the paragraph "What happened." or, if there is none
    before the next prediction, with the block that follows the cells, unless that leads to the next question.
    """
    asked = next((i for i in range(start, len(blocks)) if says(blocks[i], PREDICT)), None)
    if asked is None:
        return None
    first = next((i for i in range(asked, len(blocks)) if is_cell(blocks[i])), None)
    if first is None:
        return None
    limit = next((i for i in range(first, len(blocks)) if ends_answer(blocks[i])), len(blocks))
    told = next((i for i in range(first, limit) if says(blocks[i], WHAT_HAPPENED, at_start=True)), None)
    if told is None:
        told = next((i for i in range(first, limit) if not is_cell(blocks[i])), limit)
        leads_on = told + 1 == limit < len(blocks) and says(blocks[limit], PREDICT)
        if told == limit or leads_on or blocks[told].astext().startswith("Now "):
            return first, told
    end = told + 1
    listed = end < limit and isinstance(blocks[end], (nodes.bullet_list, nodes.enumerated_list))
    if listed and re.search(r"(?:What happened\.|:)$", blocks[told].astext()):
        end += 1
    return first, end


def ends_answer(block):
    return isinstance(block, nodes.section) or says(block, PREDICT)


def says(block, pattern, at_start=False):
    """Whether a block of text has bold words of this pattern. at_start: whether only its first words count."""
    if isinstance(block, (nodes.section, fold)) or is_cell(block):
        return False
    if at_start:
        first = block.children[0] if block.children else None
        return isinstance(first, nodes.strong) and bool(pattern.match(first.astext()))
    return any(pattern.match(strong.astext()) for strong in block.findall(nodes.strong))


def is_cell(block):
    return isinstance(block, nodes.Element) and block.get("nb_element") == "cell_code"


# --- cells that only draw ---


def fold_code_of_figures(doctree):
    """Close the input of each cell that only draws, since its text is printed below the figure."""
    cells = [cell for cell in doctree.findall(nodes.container) if is_cell(cell)]
    sources = [source_of(cell) for cell in cells]
    for i, cell in enumerate(cells):
        printed = [each for each in cell.findall(nodes.literal_block) if "stream" in each.get("classes", [])]
        if not printed and only_draws(sources[i], sources[i + 1 :]):
            for part in [part for part in cell.children if part.get("nb_element") == "cell_code_source"]:
                folded = fold("", part, summary="Show the code of this figure", classes=["figure-code"])
                cell.replace(part, folded)


def source_of(cell):
    """The program of a cell, without a line that only IPython knows."""
    shown = [part for part in cell.children if part.get("nb_element") == "cell_code_source"]
    return "\n".join(line for part in shown for line in part.astext().split("\n") if not line.startswith(("%", "!")))


def only_draws(source, later):
    """Whether a cell shows a figure, asserts and prints nothing, and leaves no name to the cells after it.

    source: its program. later: the programs of the cells after it.
    """
    tree = ast.parse(source)
    if not any(isinstance(node, ast.Call) and ast.unparse(node.func) == "plots.show" for node in ast.walk(tree)):
        return False
    kept = (ast.Assert, ast.Import, ast.ImportFrom)
    printing = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "print")
    if any(isinstance(node, kept) for node in ast.walk(tree)) or any(printing):
        return False
    names = stored(tree)
    for text in later:
        after = ast.parse(text)
        new = stored(after)
        if (loaded(after) & names) - new:
            return False
        names -= new
    return True


def stored(tree):
    """The names that a program gives a value, functions and classes included."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return defined | {node.id for node in names}


def loaded(tree):
    """The names that a program reads."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


# --- explorers ---


def announce_stills(doctree):
    """Say above each explorer, and above the words that ask to move it, that the book shows it still."""
    for cell in [cell for cell in doctree.findall(nodes.container) if is_cell(cell)]:
        found = [STILLS.search(raw.astext()) for raw in cell.findall(nodes.raw)]
        number = next((match[1] for match in found if match), None)
        if number is None:
            continue
        text = f"The picture of the next explorer shows {number} states. To move its controls, run the notebook."
        notice = nodes.admonition("", nodes.title("", "In the book: still pictures"), nodes.paragraph("", text))
        section, place = cell.parent, cell.parent.index(cell)
        before = place
        while before and not is_cell(section[before - 1]) and not isinstance(section[before - 1], nodes.title):
            before -= 1
            if isinstance(section[before], nodes.paragraph) and INSTRUCTION.search(section[before].astext()):
                place = before
        section.insert(place, notice)


def setup(app):
    app.add_node(fold, html=(visit_fold, depart_fold))
    app.connect("doctree-read", arrange, priority=600)  # after outputs.py, which makes paragraphs of printed lines
    return {"parallel_read_safe": True, "parallel_write_safe": True}
