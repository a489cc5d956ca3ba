"""Soft targets, a student and its report as an Airflow DAG (Airflow 3; for 2.x import dag and task from airflow.decorators).

A task that was stopped (exit code 75) or met an I/O error (73, 74) is tried again and resumes. A failed gate (1),
wrong usage (2), bad data (65) and a NaN loss (70) fail at once, because another try would end the same way. All tasks share one
folder.
"""

import subprocess
from datetime import timedelta

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import dag, task

FOLDER = "/srv/distill"
SHARDS = 8
HOPELESS = {1: "a quality gate failed", 2: "wrong usage or settings", 65: "bad input data",
            70: "an internal error, or a loss that is not finite"}


def distill(*arguments: str) -> None:
    """Runs distill in FOLDER; its exit code decides whether the task is tried again."""
    process = subprocess.Popen(["distill", *arguments], cwd=FOLDER)
    try:
        code = process.wait()
    except BaseException:
        # Airflow ends the task: let distill leave a checkpoint. It needs 20 seconds.
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    if code in HOPELESS:
        raise AirflowFailException(f"distill {arguments[0]}: {HOPELESS[code]}")
    if code != 0:
        raise AirflowException(f"distill {arguments[0]}: exit code {code}, to be tried again")


@dag(
    schedule=None,
    catchup=False,
    default_args={"retries": 20, "retry_delay": timedelta(minutes=1)},
)
def distill_pipeline():
    @task
    def teacher(shard: int) -> None:
        distill(
            "teacher", "--model", "runs/teacher/model", "--data", "train.parquet",
            "--shard", f"{shard}/{SHARDS}", "--out", "runs/shards",
        )  # fmt: skip

    @task
    def merge() -> None:
        distill("targets", "merge", "runs/shards", "--out", "runs/targets")

    @task
    def student() -> None:
        distill(
            "student", "--targets", "runs/targets", "--init", "runs/teacher/model", "--layers", "0,2,4",
            "--out", "runs/student",
        )  # fmt: skip

    @task
    def report() -> None:
        distill(
            "report", "--model", "teacher=runs/teacher/model", "--model", "student=runs/student/model",
            "--data", "test.jsonl", "--gate", "kept.accuracy >= 0.97", "--out", "runs/report",
        )  # fmt: skip

    teacher.expand(shard=list(range(SHARDS))) >> merge() >> student() >> report()


distill_pipeline()
