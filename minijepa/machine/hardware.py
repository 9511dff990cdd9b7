"""The hardware: which device is the fastest here, and what a run was made on, so that its times can be compared."""

import os
import platform
import subprocess
from pathlib import Path


def best_device(shared=False):
    """The fastest device that PyTorch finds here: "cuda", else "mps", else "cpu".

    shared: several processes are to use it; "mps" serves only one.
    """
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and not shared else "cpu"


def hardware(device):
    """A dict for metrics.json: device, processor (on CUDA the GPU), threads, cores, system. device: a torch.device."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return {"device": str(device), "processor": name, "threads": torch.get_num_threads(), "cores": os.cpu_count(),
            "system": platform.platform()}  # fmt: skip


def processor_name(cpuinfo=Path("/proc/cpuinfo")):
    """The processor's model if the system tells it, else its architecture, such as "x86_64"."""
    name = platform.processor()  # the model on Windows; elsewhere the architecture or nothing
    if platform.system() == "Linux" and cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    elif platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(asked, capture_output=True, text=True).stdout.strip() or name
    return name or platform.machine()
