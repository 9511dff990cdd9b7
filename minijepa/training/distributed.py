"""What changes when torchrun starts several processes, and nothing else. Alone, everything here does nothing.

    torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=2 -m minijepa.train --data cifar10 --steps 1000

--local-addr: by its own name a laptop that has left its network cannot find itself, and torchrun would wait forever.
One process per GPU (or, to learn, several on the CPU); each holds the model and computes its part of every batch.
`fit` keeps to one rule, from which the rest follows: **all processes draw the same batch, crops and masks from the
generator of the step, and each takes its own rows of them.** So N processes together see what one alone would have
seen, no image twice, and end with the same parameters up to rounding. No random number has to differ between ranks.

What must be added is communication, and PyTorch does it: the mean of the gradients (DistributedDataParallel, or
`fully_shard` where the model itself is cut: `fsdp`), the features of all ranks for a term over the batch
(`whole_batch`).
"""

import inspect
import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from minijepa.training.fsdp import is_sharded

# --- a run's beginning and end ---


def launched():
    """True where torchrun (or whatever sets RANK and WORLD_SIZE) started this process as one of several."""
    return dist.is_available() and "RANK" in os.environ and "WORLD_SIZE" in os.environ


def own_device(device):
    """The device of this process: of several GPUs in a machine the one numbered LOCAL_RANK, else `device` itself."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and launched():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


@contextmanager
def session(device="cpu", timeout=600):
    """Join the processes that torchrun started, leave them at the end; alone, do nothing. Yields the Team.

    device: nccl carries the messages between CUDA devices ("cuda": see own_device), gloo all others. timeout: seconds
    that a process waits for the others in one exchange; with gloo it notices at once when one of them dies.
    A process that fails says so in one line with its rank and ends; the ones that wait for it then end too, or
    torchrun ends them. What is lost are the steps since the last checkpoint.
    """
    if not launched():
        yield Team()
        return
    device = own_device(device)
    backend = {"backend": "gloo"}
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = {"backend": "nccl", "device_id": device}  # so that a barrier, too, knows which GPU is meant
    dist.init_process_group(**backend, timeout=timedelta(seconds=timeout))
    rank, size = dist.get_rank(), dist.get_world_size()
    try:
        yield Team.current()
    except BaseException as error:
        reason = (str(error).splitlines() or [""])[0]
        print(f"rank {rank} of {size} stopped: {type(error).__name__}: {reason}", file=sys.stderr, flush=True)
        raise  # without leaving the group in good order, for which the others would be needed
    dist.destroy_process_group()


@dataclass(frozen=True)
class Team:
    """The processes of a run: this one is number `rank` of `size`; alone it is 0 of 1."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls):
        """The team of the process group that is open now."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    def rows(self, total, part=0, parts=1):
        """The rows of this process in a batch of `total`, or in one of its microbatches (fit's `accumulate`): a slice.

        Raises ValueError if they cannot be equally many.
        """
        if total % (self.size * parts):
            over = f"{self.size} processes" + (f" in {parts} microbatches" if parts > 1 else "")
            raise ValueError(f"a batch of {total} cannot be split evenly over {over}: make it a multiple")
        each = total // (self.size * parts)
        first = (part * self.size + self.rank) * each
        return slice(first, first + each)

    def means(self, *values):
        """The mean of each number over the processes, floats that are the same on all of them; sent together."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor([float(each) for each in values], dtype=torch.float64, device=messages_from())
        dist.all_reduce(numbers)
        return [total / self.size for total in numbers.tolist()]

    def mean(self, value):
        """The mean of one number."""
        return self.means(value)[0]

    def any(self, flag):
        """True on all processes if `flag` is true on one."""
        return self.mean(bool(flag)) > 0

    def wait(self):
        """Go on when all processes have come here."""
        self.any(False)


def messages_from():
    """Where a tensor must lie to be sent: on the GPU with nccl, else on the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


@contextmanager
def first_here(team):
    """The first process of each machine goes through the body before its others: it fetches files that they find."""
    first = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not first:
        team.wait()
    yield
    if first:
        team.wait()


# --- a term over the batch ---


class Gather(torch.autograd.Function):
    """x [B, ...] of every process, one after the other: [size B, ...]. The gradient comes back as the sum over them.

    Each process computes the same function of the gathered tensor, so that sum is `size` times the gradient of the
    one function; the mean over processes, which DDP takes of all gradients of parameters, divides by `size` again.
    """

    @staticmethod
    def forward(ctx, x):
        """x: [B, ...] -> [size B, ...]."""
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient):
        """gradient: [size B, ...] -> [B, ...]."""
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[Team.current().rows(len(gradient))]


def whole_batch(x, training=True):
    """The rows of all processes: x [B, ...] of this one -> [size B, ...], in the order of the ranks; alone, x itself.

    For what compares the examples of a batch (a variance, SIGReg, a contrastive loss): a method asks for it before
    such a term. Gradients flow back to the process that each row came from. All processes must call it, with equally
    many rows; so training=False, for a model in eval mode that perhaps one process alone looks at, gives x itself.
    """
    return gather(x) if training and Team.current().size > 1 else x


@torch.compiler.disable
def gather(x):
    """`whole_batch` among several processes: x [B, ...] -> [size B, ...]."""
    return Gather.apply(x)


# --- gradients that agree ---


def parallel(model, team, device):
    """The model in DistributedDataParallel, which averages the gradients over the processes; alone, the model itself.

    All start from rank 0's parameters and make the same step from the same gradients, Muon too, and move the same
    teacher. So of the model only gradients travel: 4 bytes per trained parameter are handed over in a step, of which
    each of W processes in a ring sends 8 (W - 1) / W. Two numbers, and the features for a term over the batch, are sent
    as well.
    """
    if team.size == 1 or is_sharded(model):
        return model
    names = inspect.signature(DistributedDataParallel).parameters
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"  # renamed in 2026
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(
        model, device_ids=devices, **{buffers: False}
    )  # positions never change, and a BatchNorm that sees the whole batch changes alike


def exchange(parallel_model, last):
    """For one microbatch: a context in which gradients are only exchanged if it is the `last` of its step.

    A model in shards exchanges those of every one: to wait, each process would have to keep whole gradients, and
    memory is why one shards.
    """
    return nullcontext() if last or not hasattr(parallel_model, "no_sync") else parallel_model.no_sync()


def same_everywhere(team, **numbers):
    """Refuse to go on where processes disagree, for instance about the step to begin with. Raises RuntimeError."""
    for name, value in numbers.items():
        if team.any(team.mean(value) != value):  # all must stop: of 0, 100 and 200 one is the mean
            raise RuntimeError(
                f"rank {team.rank} has {name} {value} and others another: the checkpoint must lie in a folder that "
                "all processes see, and their data must be the same"
            )
