"""A process to be killed: schedules of every second on the real engine, from the store in argv[1]."""

import sys
import time
from pathlib import Path

from etl_runner.clock import SystemClock
from etl_runner.schedule.service import ScheduleService
from tests.schedule.ledgers import schedule
from tests.schedule.machines import engine_on


def main() -> None:
    with engine_on(Path(sys.argv[1])) as (store, launch):
        service = ScheduleService(store, launch, SystemClock())
        service.apply(schedule(f"s{number}", "rate(1 second)") for number in range(20))
        service.open()
        print("open", flush=True)  # noqa: T201 -- the parent waits for it
        time.sleep(60)


if __name__ == "__main__":
    main()
