"""What a run ran on, so that its times can be read: device, processor, threads, system."""

import os
import platform
import subprocess
from pathlib import Path

import torch


def hardware(device):
    """A dict for metrics.json: device, processor (on CUDA the GPU), threads, cores, system."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return {"device": str(device), "processor": name, "threads": torch.get_num_threads(), "cores": os.cpu_count(),
            "system": platform.platform()}  # fmt: skip


def processor_name(cpuinfo=Path("/proc/cpuinfo")):
    """The processor's model where the system tells it, else its architecture, such as "x86_64"."""
    name = platform.processor()  # the model on Windows; elsewhere the architecture or nothing
    if platform.system() == "Linux" and cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    elif platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(asked, capture_output=True, text=True).stdout.strip() or name
    return name or platform.machine()


def best_device():
    """cuda, else mps, else cpu; several processes (torchrun sets RANK) cannot share what mps is."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and "RANK" not in os.environ else "cpu"
