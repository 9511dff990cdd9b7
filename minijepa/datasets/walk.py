"""Which files of a folder are data, and what their classes are: the same rules for images and for clips.

    photos/cats/1.jpg photos/dogs/1.jpg               classes cats and dogs, searched to any depth
    photos/1.jpg photos/2.jpg                         no classes
    photos/train/cats/1.jpg photos/val/cats/1.jpg     classes of the inner folders, with a split

Nothing is left out silently: `Found.summary` says in one line what was taken for what.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from minijepa.machine.console import print_any_name
from minijepa.machine.files import LOCK
from minijepa.training.distributed import Team

# What systems, cameras and network drives leave in folders; names that begin with a dot are left out as well.
CLUTTER = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information"}
CLUTTER |= {"thumbs.db", "desktop.ini"}
# A folder with one of these is the --out of a run, and these are the pictures that a run draws there.
RUN, RUN_PICTURES = ("metrics.json", "encoder.safetensors", "checkpoint.pt", LOCK), {"curves.png", "patches.png"}
PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
PARTS |= {"test": "test", "testing": "test"}


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    files: N paths, class after class, in natural order; those to learn from before the held-out ones.
    labels: N indices into `classes`.
    classes: the names of the classes; only the name of the folder where there are none.
    heldout: for each of the N files whether it lies in a folder val or test; None: the folder is not split.
    summary: all this, and what was left out, in one line.
    """

    files: list[Path]
    labels: list[int]
    classes: tuple[str, ...]
    heldout: list[bool] | None
    summary: str


def natural(name):
    """A key for sorting in which numbers count as numbers: frame2 before frame10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))], name


def walk(path, what, suffixes, is_item=lambda folder: False):
    """Find the files of a data set below a folder.

    Hidden names, what systems leave behind, folders of runs, and files of other suffixes are left out. Links are
    followed, but not back to a folder above. A folder whose only content is one other folder stands for that one.
    If there are folders train and val (or validation, or test), only those count: train is learned from, val is held
    out, and test too where there is no val.
    path: the folder, a Path.
    what: what its files are called, such as "images".
    suffixes: those of the files, in lower case.
    is_item: function of a folder, whether it is itself one of the things looked for (a clip as a folder of frames).
    Returns Found. Raises ValueError if there is no such folder or nothing in it, for files next to class folders, and
    for held-out classes that are not learned.
    """
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise ValueError(f"{path}: expected a folder of {what}, found {found}; check the path")
    left_out = Counter()
    node = scan(path, suffixes, is_item, {os.path.realpath(path)}, left_out)
    empty = list(node.empty)
    while len(node.folders) == 1 and not node.items:
        node = node.folders[0]
        empty += node.empty
    skipped = listed("; left out: ", [f"{count:,} {why}" for why, count in left_out.items()])
    if not node:
        raise ValueError(
            f"{path}: no {what[:-1]} in this folder; expected files {' '.join(sorted(suffixes))}, "
            f"one sub-folder per class{skipped}"
        )
    parts = split_of(node)
    learn, held = classes_of(parts["train"], what), classes_of(parts["heldout"], what)
    if held:
        check_classes(learn, held, parts)
    files = [file for group in (learn, held) for files in group.values() for file in files]
    number = {name: i for i, name in enumerate(learn)}
    labels = [number[name] for group in (learn, held) for name, files in group.items() for _ in files]
    count = sum(map(len, learn.values()))
    heldout = [i >= count for i in range(len(files))] if held else None
    classes = (path.resolve().name,) if "" in learn else tuple(learn)
    empty += [name for part in parts["train"] + parts["heldout"] if held for name in part.empty]
    summary = summary_of(path, what, node, parts, learn, held)
    summary += listed(f"; no {what[:-1]} in ", list(dict.fromkeys(empty))) + skipped
    return Found(files, labels, classes, heldout, summary)


def announce(summary):
    """Print a line, only on the first process of a run."""
    if Team.current().rank == 0:
        print_any_name()  # here too, for programs that are no command of the course
        print(summary)


# --- the pieces ---


@dataclass
class Node:
    """A folder and what lies in it: data, folders with data below them, the names of folders without; runs below it."""

    path: Path
    items: list[Path] = field(default_factory=list)
    folders: list["Node"] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    runs: bool = False

    def __bool__(self):
        return bool(self.items or self.folders)

    def below(self):
        """All its data, those in its folders too."""
        return self.items + [file for folder in self.folders for file in folder.below()]


def scan(folder, suffixes, is_item, above, left_out):
    """The tree below a folder. above: the real paths of the folders that led here; left_out: counts, added to."""
    node = Node(folder)
    paths = sorted(folder.iterdir(), key=lambda path: natural(path.name))
    run = any(path.name in RUN for path in paths)
    for path in paths:
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.name.lower() in CLUTTER:
            left_out["hidden or of the system"] += 1
        elif path.is_dir():
            real = os.path.realpath(path)
            if real in above:
                left_out["links back to a folder above"] += 1
            elif any((path / name).exists() for name in RUN):
                left_out[f"folder of a run ({path.name})"] += 1
                node.runs = True
            elif is_item(path):
                node.items.append(path)
            else:
                child = scan(path, suffixes, is_item, above | {real}, left_out)
                node.runs = node.runs or child.runs
                if child:
                    node.folders.append(child)
                elif not child.runs:  # a folder for runs is not a class without images
                    node.empty.append(path.name)
        elif path.name == LOCK:
            pass  # of the run that asks
        elif run and path.name in RUN_PICTURES:
            left_out["pictures of an earlier run"] += 1
        elif suffix not in suffixes:
            left_out[suffix or "without a suffix"] += 1
        elif path.is_file():
            node.items.append(path)
        else:
            left_out["links that lead nowhere"] += 1
    return node


def split_of(node):
    """The folders to learn from, those held out, and others next to them; without a split the node itself is all.

    Raises ValueError if there is nothing to learn from.
    """
    roles = {"train": [], "val": [], "test": [], None: []}
    for folder in node.folders:
        roles[PARTS.get(folder.path.name.lower())].append(folder)
    if roles["val"] and roles["test"] and not roles["train"] and not roles[None]:
        raise ValueError(
            f"{node.path} has the folders {', '.join(folder.path.name for folder in node.folders)}, but none to learn "
            "from; rename one to train, or give the path of one of them"
        )
    if node.items or not roles["train"] or not (roles["val"] or roles["test"]):
        return {"train": [node], "heldout": [], "other": []}
    heldout, unused = (roles["val"], roles["test"]) if roles["val"] else (roles["test"], [])
    return {"train": roles["train"], "heldout": heldout, "other": unused + roles[None]}


def classes_of(nodes, what):
    """Class -> files. Files that lie in no class folder have the class "", and then there is no other.

    Raises ValueError for files next to class folders.
    """
    groups = {}
    for node in nodes:
        while len(node.folders) == 1 and not node.items and node.folders[0].path.name.lower() == "images":
            node = node.folders[0]
        for folder in node.folders:
            groups.setdefault(folder.path.name, []).extend(folder.below())
        if node.items:
            groups.setdefault("", []).extend(node.items)
    if "" in groups and len(groups) > 1:
        raise ValueError(
            f"{groups[''][0]}: {len(groups[''])} {what} lie next to the class folders "
            f"{', '.join(name for name in groups if name)}; move them into a class folder, or out of this one"
        )
    return groups


def check_classes(learn, held, parts):
    """Every held-out class must be one of those that are learned."""
    if not set(held) <= set(learn):
        strange = listed("the classes ", [name for name in held if name not in learn and name])
        raise ValueError(
            f"{parts['heldout'][0].path} has {strange or 'no class folders'}, but {parts['train'][0].path} has "
            f"{listed('the classes ', list(filter(None, learn))) or 'no class folders'}; name the class folders "
            "alike in both, or give the path of one of the two"
        )


def summary_of(path, what, node, parts, learn, held):
    """What was found, in words."""
    counts = {name: len(files) + len(held.get(name, ())) for name, files in learn.items()}
    total = sum(counts.values())
    classes = [f"{name} {count:,}" for name, count in counts.items()]
    text = f"{path.resolve().name}: {total:,} {what if total > 1 else what[:-1]}, "
    if "" not in learn:
        text += f"{len(counts)} class{'es' if len(counts) > 1 else ''}: {listed('', classes)}"
    elif held:
        text += "no classes"
    else:
        text += "no classes: all lie in one folder" + (f", {node.path.name}" if node.path != path else "")
    if held:
        learned, kept = (sum(map(len, group.values())) for group in (learn, held))
        names = {part: ", ".join(folder.path.name for folder in folders) for part, folders in parts.items()}
        text += f"; {learned:,} to learn from ({names['train']}), {kept:,} held out ({names['heldout']})"
        text += listed(f"; {names['heldout']} has none of ", [name for name in learn if name not in held])
        text += f"; not used: {names['other']}" if parts["other"] else ""
    return text


def listed(head, words, most=10):
    """The first words of a list behind a head; "" if the list is empty."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return head + ", ".join(words[:most]) + more if words else ""
