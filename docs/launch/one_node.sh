#!/bin/sh
# One machine with several GPUs, one process for each of them:   sh docs/launch/one_node.sh --steps 20000
# --standalone: no other machine takes part. --local-addr: the processes need not look up this machine in a network.
# gpu: as many processes as there are GPUs; you can also give a number.
exec torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=gpu -m minijepa.train \
    --data cifar10 --batch-size 256 --precision bfloat16 --out runs/one-node "$@"
