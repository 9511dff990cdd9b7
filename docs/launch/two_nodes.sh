#!/bin/sh
# Two machines: start this on both, with the name of the first one.   sh docs/launch/two_nodes.sh first-machine
# The port must be open between them, and --out a folder that both see.
FIRST=${1:?give the name or address of the first machine}
shift
exec torchrun --nnodes=2 --nproc-per-node=gpu \
    --rdzv-backend=c10d --rdzv-endpoint="$FIRST:29400" --rdzv-id=minijepa -m minijepa.train \
    --data cifar10 --batch-size 512 --precision bfloat16 --out runs/two-nodes "$@"
