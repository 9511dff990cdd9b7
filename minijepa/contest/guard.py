"""What a submission may not do while it trains: read or write files, start programs or threads, go online, look around.

Python tells a hook of each of these before it happens (`sys.addaudithook`; a hook cannot be taken off again). The first
of them ends the training, and the submission is refused with the reason. Reading Python code to import it is allowed.
The hook is not told what compiled libraries do by themselves, so their readers of weights are closed one by one, and
with them threads and the course's own drawings of labelled data.
"""

import os
import site
import sys
import sysconfig
from importlib.machinery import all_suffixes
from pathlib import Path

REFUSED = {
    "subprocess.": "starts a program",
    "os.system": "starts a program",
    "os.exec": "starts a program",
    "os.spawn": "starts a program",
    "os.posix_spawn": "starts a program",
    "os.startfile": "starts a program",
    "os.fork": "starts a process",
    "socket.": "opens a connection",
    "urllib.": "opens a connection",
    "gc.get": "searches the memory for objects that it was not given",
    "os.remove": "changes files",
    "os.rename": "changes files",
    "os.mkdir": "changes files",
    "os.link": "changes files",
    "os.symlink": "changes files",
    "os.truncate": "changes files",
    "shutil.": "changes files",
    "mmap.": "reads a file",
}
REMEDY = "a submission learns from the images that it is given, in its own process, and from nothing else"


def code_folders():
    """The folders from which code may be imported, absolute: Python's, its packages', this package's."""
    paths = [*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, site.getusersitepackages()]
    paths.append(Path(__file__).parents[1])
    modules = ("torch", "numpy", "sklearn")
    paths += [Path(sys.modules[name].__file__).parent for name in modules if name in sys.modules]
    return tuple(os.path.realpath(path) + os.sep for path in paths)


def offence(event, arguments, folders):
    """What is wrong with something that Python is about to do, in words; None if nothing is.

    event, arguments: as of an audit hook. folders: of `code_folders`.
    """
    if event == "open":
        path, mode, flags = arguments
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if set(str(mode or "")) & set("wax+") or (flags or 0) & writes:
            return f"writes the file {path!r}"
        name = os.path.realpath(os.fsdecode(path)) if isinstance(path, (str, bytes, os.PathLike)) else ""
        if name.endswith(tuple(all_suffixes())) and name.startswith(folders):
            return None
        return f"reads the file {path!r}"
    if event.startswith("ctypes."):
        # ours: `keep_freed_memory` of minijepa.training.memory
        ours = {"ctypes.dlopen": arguments[:1] == (None,), "ctypes.dlsym": arguments[1:] == ("mallopt",)}
        return None if ours.get(event) else "calls compiled code"
    return next((words for start, words in REFUSED.items() if event.startswith(start)), None)


def close(refuse):
    """From now on, call `refuse` with a sentence for whatever is not allowed. It must not return."""
    folders = code_folders()

    def hook(event, arguments):
        found = offence(event, arguments, folders)
        if found:
            refuse(f"it {found}: {REMEDY}")

    close_rest(refuse)
    sys.addaudithook(hook)


def close_rest(refuse):
    """Close what no hook is told of: threads, compiled readers of weights, and the course's own labelled data."""
    import _thread
    import threading

    import safetensors
    import safetensors.torch
    import torch

    from minijepa.datasets.shapes import drawing, scenes
    from minijepa.worlds.two_rooms import TwoRooms

    def closed(what):
        def refused(*_, **__):
            refuse(f"it {what}: {REMEDY}")

        return refused

    weights, labelled = closed("reads or writes a file of weights"), closed("draws labelled data of its own")
    safetensors.safe_open = safetensors.torch.safe_open = safetensors.torch.load_file = weights
    safetensors.torch.save_file = safetensors.serialize_file = weights
    torch.from_file = torch.UntypedStorage.from_file = weights
    torch._C.PyTorchFileReader = torch._C.PyTorchFileWriter = weights
    drawing.draw_objects = scenes.draw_objects = labelled
    threads = closed("starts a thread, whose arithmetic would not be counted")
    for module in (_thread, threading):
        for name in vars(module):
            if name in ("start_new_thread", "_start_new_thread", "start_joinable_thread", "_start_joinable_thread"):
                setattr(module, name, threads)
    for name in ("walks", "tasks", "step", "rollout", "render"):
        setattr(TwoRooms, name, labelled)
