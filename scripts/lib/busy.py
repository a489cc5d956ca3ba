"""A process that computes on one core, and how much of the machine others used."""

import contextlib
import os
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def busy_core():
    """While it is open, a process of its own spins on the last core that this process may use."""
    core = max(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    spinning = subprocess.Popen([sys.executable, "-c", pin])
    try:
        yield spinning.pid
    finally:
        spinning.kill()
        spinning.wait()


class Others:
    """CPU time that neither this process, nor its children that have ended, nor the spinning process used."""

    def __init__(self, spinning=None):
        self.spinning = spinning
        self.begin = self._now()

    def cores(self):
        """Cores that others used on average since the beginning."""
        (used, whole), (used_before, whole_before) = self._now(), self.begin
        return max(0.0, (used - used_before) / max(whole - whole_before, 1e-9) * os.cpu_count())

    def _now(self):
        with open("/proc/stat") as stat:
            fields = [int(field) / TICKS for field in stat.readline().split()[1:9]]
        idle = fields[3] + fields[4]
        own = sum(os.times()[:4])
        if self.spinning:
            with open(f"/proc/{self.spinning}/stat") as stat:
                own += sum(int(field) / TICKS for field in stat.read().rsplit(")", 1)[1].split()[11:13])
        return sum(fields) - idle - own, sum(fields)
