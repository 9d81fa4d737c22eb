"""The soak test (Tests/soak/run starts it): phases of coming and going, and after each a look at the node when all are gone.

    soak.py SECONDS [SEED]
"""
import dataclasses
import pathlib
import random
import shutil
import signal
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "EndToEnd"), str(TESTS / "Benchmarks")]

from churn import Churn  # noqa: E402
from homes.home import Home, binary  # noqa: E402
from homes.processes import new_scratch, until  # noqa: E402
from idle import authenticate_frame  # noqa: E402

# What memory may grow between the first phase and the last: allocators keep some.
GROWTH_KILOBYTES, GROWTH_FACTOR = 8 * 1024, 1.10


@dataclasses.dataclass(frozen=True)
class Look:
    """The node as /proc and its own listing show it."""
    resident: int
    descriptors: int
    threads: int
    services: tuple

    @staticmethod
    def at(home):
        proc = pathlib.Path("/proc/%d" % home.node.pid)
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        return Look(
            resident=int(status["VmRSS"].split()[0]), descriptors=len(list((proc / "fd").iterdir())),
            threads=int(status["Threads"]), services=tuple(sorted(home.services())))

    def same_tables(self, other):
        return (self.descriptors, self.services) == (other.descriptors, other.services)

    def __str__(self):
        return "%6d KB, %3d descriptors, %2d threads, services %s" % (self.resident, self.descriptors, self.threads, ", ".join(self.services))


def quiet(home, reference):
    """The node when everybody has left: within 30 s it must be what it was."""
    if reference is None:
        until(lambda: not [name for name in home.services() if name.startswith("Guest")], 30, "end of all guests")
        time.sleep(2)  # no fact tells that the last descriptors are closed: this look only sets the reference
        return Look.at(home)
    last = []

    def settled():
        last[:] = [Look.at(home)]
        return last[0] if last[0].same_tables(reference) else None

    return until(settled, 30, lambda: "return to\n  %s\nit is\n  %s" % (reference, last[0]))


def soak(home, seconds, seed):
    home.write_config().up()
    home.host("Anchor")
    steady = home.start("steady", [sys.executable, TESTS / "soak/guest.py", "service", home.url, "Steady"])
    steady.wait_line(lambda line: line == "ready", 20)
    phases = max(3, min(30, int(seconds // 60)))
    looks = []
    chance = random.Random(seed)
    started = time.monotonic()
    for phase in range(phases):
        churn = Churn(home, binary(), "Steady", authenticate_frame(), chance.random())
        churn.start()
        # A failure ends the phase early.
        churn.stopping.wait(max(1, seconds / phases - 3))
        churn.stop()
        if churn.failures:
            raise AssertionError("; ".join(churn.failures) + "\n" + home.node.describe())
        looks.append(quiet(home, looks[0] if looks else None))
        done = ", ".join("%d %s" % (count, what) for what, count in sorted(churn.counts.items()))
        print("[%5.0f s] %s  after %s" % (time.monotonic() - started, looks[-1], done), flush=True)
    return looks


def judge(looks):
    first, last = looks[0], looks[-1]
    complaints = []
    if last.resident > first.resident * GROWTH_FACTOR + GROWTH_KILOBYTES:
        complaints.append("memory grew from %d to %d KB" % (first.resident, last.resident))
    if last.threads > first.threads:
        complaints.append("threads: %d after the first phase, %d after the last" % (first.threads, last.threads))
    return complaints


def main():
    # Shells start what runs in the background with SIGINT ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seconds = float(sys.argv[1])
    seed = sys.argv[2] if len(sys.argv) > 2 else str(time.time_ns())
    folder = new_scratch("qs")
    print("seed %s, logs in %s" % (seed, folder), flush=True)
    with Home(folder, "soak") as home:
        complaints = judge(soak(home, seconds, seed))
        if home.down() != 0:
            complaints.append("the node did not end in order")
    if complaints:
        sys.exit("error: " + "; ".join(complaints))
    shutil.rmtree(folder)
    print("the node is what it was")


if __name__ == "__main__":
    main()
