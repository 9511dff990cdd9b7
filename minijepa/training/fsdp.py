"""A model that is cut over the processes (FSDP2), because one device cannot hold it with gradients and optimiser state.

Each process holds 1/size of every tensor. The whole of a transformer block is gathered when it runs, then forgotten.
"""

import warnings

import torch.distributed as dist

from minijepa.vit import transformer_blocks


def shard(model, device):
    """Cut every parameter of a method, teacher included, in as many shards as there are processes (FSDP2), in place.

    Each process keeps 1/size of parameters, gradients and optimiser state, and gathers a transformer block's weights
    just before that block runs. For models that do not fit into one device; otherwise DDP moves less. The model may
    still lie on the CPU: block after block goes to `device`, takes rank 0's values, as in DDP, and is cut.
    Teacher and encoder are cut alike, so the EMA works shard by shard. Raises ValueError for a single process.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            "shard=True cuts the model over several processes, but there is only one: leave out shard (--shard), or "
            "start with `torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=2 -m minijepa.train ...`"
        )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # a step returns context and targets, views that nobody writes into; torch warns of what would happen if one did
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for module in [*transformer_blocks(model), model]:  # the model last, with what is in no block
        module.to(device)
        for tensor in [*module.parameters(), *module.buffers()]:
            if not hasattr(tensor, "full_tensor"):  # not cut yet
                dist.broadcast(tensor.detach(), src=0)
        fully_shard(module, mesh=mesh)


def is_sharded(model):
    """True for what `shard` has cut."""
    return hasattr(model, "set_requires_gradient_sync")


def whole(model):
    """A state dict of whole tensors on the CPU, whether the model is sharded or not. All processes must call it."""
    return {
        name: (value.full_tensor() if hasattr(value, "full_tensor") else value).detach().cpu()
        for name, value in model.state_dict().items()
    }
