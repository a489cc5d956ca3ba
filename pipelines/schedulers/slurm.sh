#!/usr/bin/env bash
# Soft targets by a Slurm array: every task computes one shard of the rows, and resumes where it was stopped.
#
#   job=$(sbatch --parsable pipelines/schedulers/slurm.sh)
#   sbatch --dependency=afterok:$job --wrap 'distill targets merge runs/shards --out runs/targets'
#
# Change --array for another number of shards. To repeat single tasks use `scontrol requeue JOB_TASK`: an array of
# other tasks would be other shards.
#SBATCH --job-name=distill-teacher
#SBATCH --array=0-7
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=distill-%A_%a.log
# Only to this shell (B:), two minutes before the time limit. distill needs up to 20 seconds to stop.
#SBATCH --signal=B:USR1@120
set -u

# Slurm's warning, and the SIGTERM before a preemption, reach the shell. A signal ends `wait`, not the program.
warned=0 distill=
trap 'warned=1; [ -z "$distill" ] || kill -USR1 "$distill" 2>/dev/null' USR1 TERM

# The shard comes from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT; each has its own directory in OUT.
distill teacher --model "${MODEL:-runs/teacher/model}" --data "${DATA:-train.parquet}" --out "${OUT:-runs/shards}" \
    --threads "${SLURM_CPUS_PER_TASK:-1}" &
distill=$!
[ "$warned" = 0 ] || kill -USR1 "$distill"
while warned=0; wait "$distill"; code=$?; [ "$warned" = 1 ]; do :; done

# 75: stopped, the same command resumes. 138: the signal came before the program could watch for it.
# All other codes end the task.
if [ "$code" = 75 ] || [ "$code" = 138 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
