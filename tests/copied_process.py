"""A process whose copies run a job, so that a run that is killed needs no time to start."""

import os
import select
import signal
import subprocess

COPIES = """
import os, sys, traceback
from conftest import InThisProcess
from mammo_jax import processes
from mammo_jax.jobs import prepare
processes.ProcessPoolExecutor = InThisProcess
warm, *flags = sys.argv[1:]
prepare.main([*flags, "--images", "8", "--workers", "1", "--out", warm])
print("ready", flush=True)
for out in sys.stdin:
    child = os.fork()
    if not child:
        os.setsid()
        try:
            prepare.main([*flags, "--workers", "1", "--out", out.strip()])
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Copies:
    """A process that has imported and compiled everything, and whose copies run: nearly all of their time is work."""

    def __init__(self, process):
        self.process = process
        while self.line(600) != "ready":  # below what the first run says
            pass

    def line(self, seconds):
        """Return the next line; TimeoutExpired if none comes."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired("copy", seconds)
        line = self.process.stdout.readline()
        assert line, "the process of the copies has ended"
        return line.decode().strip()


class Copy:
    """A run in a copy, with what `kill_at_random` needs of a Popen."""

    def __init__(self, copies, out):
        self.copies, self.returncode = copies, None
        copies.process.stdin.write(f"{out}\n".encode())
        copies.process.stdin.flush()
        self.pid = int(copies.line(60))

    def wait(self, seconds):
        if self.returncode is None:
            self.returncode = int(self.copies.line(seconds))

    def poll(self):
        try:
            self.wait(0)
        except subprocess.TimeoutExpired:
            return None
        return self.returncode

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout=60):
        self.wait(timeout)
        return b"", b""
