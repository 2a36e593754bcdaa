"""What a start costs with a Python of its own, and what it would cost as a fork of a parent that has imported everything.

    python worker/bench/fork.py --rounds 10 sklearn.linear_model numpy

Prints medians of the time until a process says that it is ready, and the memory of four processes of each kind (their
proportional set, the parent's included). See docs/decisions/0019.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

READY = b"r"


def own_python(modules):
    """Starts a Python that imports the modules and waits; gives its id, its end of a pipe, and the milliseconds."""
    (here, there), (until, end) = os.pipe(), os.pipe()
    code = f"import os, {', '.join(modules)}\nos.write({there}, b'r')\nos.read({until}, 1)"
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[there, until])
    assert os.read(here, 1) == READY
    took = (time.perf_counter() - start) * 1e3
    for fd in (here, there, until):
        os.close(fd)
    return process, end, took


def fork():
    """Forks this process, which has imported them; gives the same."""
    (here, there), (until, end) = os.pipe(), os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.write(there, READY)
        os.read(until, 1)
        os._exit(0)
    assert os.read(here, 1) == READY
    took = (time.perf_counter() - start) * 1e3
    for fd in (here, there, until):
        os.close(fd)
    return child, end, took


def proportional_set(pid):
    """MiB."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("modules", nargs="+")
    options = parser.parse_args()

    own = []
    for _ in range(options.rounds + 1):
        process, end, took = own_python(options.modules)
        own.append(took)
        os.close(end)
        process.wait()
    four = [own_python(options.modules) for _ in range(4)]
    own_memory = sum(proportional_set(process.pid) for process, _, _ in four)
    for process, end, _ in four:
        os.close(end)
        process.wait()

    for module in options.modules:
        __import__(module)
    forked = []
    for _ in range(options.rounds + 1):
        child, end, took = fork()
        forked.append(took)
        os.close(end)
        os.waitpid(child, 0)
    four = [fork() for _ in range(4)]
    forked_memory = sum(proportional_set(pid) for pid in [os.getpid()] + [child for child, _, _ in four])
    for child, end, _ in four:
        os.close(end)
    for child, _, _ in four:
        os.waitpid(child, 0)
    threads = len(os.listdir("/proc/self/task"))

    print(f"own Python   {statistics.median(own[1:]):8.1f} ms   four processes {own_memory:7.1f} MiB")
    print(f"fork         {statistics.median(forked[1:]):8.1f} ms   four and the parent {forked_memory:7.1f} MiB")
    print(f"threads of the parent after its imports: {threads}")


if __name__ == "__main__":
    main()
