#!/bin/bash
#SBATCH --job-name=minijepa
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.log
# Slurm starts one torchrun per machine, and each torchrun starts one process per GPU:   sbatch docs/launch/slurm.sh
# When the time of a job is over, continue its run:   sbatch docs/launch/slurm.sh --resume
# The next job reads what the last one left in --out. For another run, use another folder:
#     sbatch docs/launch/slurm.sh --out runs/another
FIRST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes="$SLURM_NNODES" --nproc-per-node=gpu \
    --rdzv-backend=c10d --rdzv-endpoint="$FIRST:29400" --rdzv-id="$SLURM_JOB_ID" -m minijepa.train \
    --data cifar10 --steps 20000 --batch-size 1024 --precision bfloat16 --out runs/slurm "$@"
