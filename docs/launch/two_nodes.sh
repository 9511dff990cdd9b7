#!/bin/sh
# Two machines: start this on both, with the name of the first one:   sh docs/launch/two_nodes.sh first-machine
# The port must be open between them, and --out must be a folder that both can read. On machines without GPUs, state how
# many processes each starts:   PROCESSES=1 sh docs/launch/two_nodes.sh first-machine --device cpu --precision float32
FIRST=${1:?give the name or address of the first machine}
shift
exec torchrun --nnodes=2 --nproc-per-node="${PROCESSES:-gpu}" \
    --rdzv-backend=c10d --rdzv-endpoint="$FIRST:${PORT:-29400}" --rdzv-id=minijepa -m minijepa.train \
    --data cifar10 --batch-size 512 --precision bfloat16 --out runs/two-nodes "$@"
