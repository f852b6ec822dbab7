"""Forks workers from a ready-made process, and kills and replaces them; see `test_workers.py`.

Takes one job as JSON on stdin and ends when told to (a second line): then the workers that live
are told to end, and what became of them is the answer on stdout. The workers' log is on stderr.
"""

import json
import os
import random
import select
import signal
import sys

import aws_lambda_powertools
import boto3
import duckdb
import pandas

from brewtopia_lib import events
from brewtopia_lib.events import worker
from brewtopia_lib.settings import Settings

READY = (aws_lambda_powertools, boto3, duckdb, pandas)


def main() -> None:
    job = json.loads(sys.stdin.readline())
    settings = Settings(**job["settings"])
    for name, value in job["patches"].items():
        setattr(worker if hasattr(worker, name) else events, name, value)
    chance = random.Random(job["seed"])
    alive = [_fork(settings) for _ in range(job["workers"])]
    kills = 0
    while not select.select([sys.stdin], [], [], chance.uniform(*job["every_seconds"]))[0]:
        if kills < job["kills"]:
            victim = chance.randrange(len(alive))
            os.kill(alive[victim], signal.SIGKILL)
            kills += os.waitstatus_to_exitcode(os.waitpid(alive[victim], 0)[1]) == -signal.SIGKILL
            alive[victim] = _fork(settings)
    for child in alive:
        os.kill(child, signal.SIGTERM)
    exits = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in alive]
    print(json.dumps({"kills": kills, "exits": exits}), flush=True)


def _fork(settings: Settings) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            worker.Worker(settings).run()
            sys.stdout.flush()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a forked child must never return
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    return child


if __name__ == "__main__":
    main()
