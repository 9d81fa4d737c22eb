"""The aims, as ratios within one run. They are printed, never asserted: machines differ, and a table is not a test.

A target's function takes our row and those of the baselines (`c`: raw C on the same kind of socket, `q`: libqi with libqi) and answers
the figure and whether it is good enough. A baseline that was not measured leaves the target out.
"""
import dataclasses
from typing import Callable


@dataclasses.dataclass(frozen=True)
class Target:
    number: str
    work: str
    link: str
    place: str
    text: str
    judge: Callable
    who: str = "ours"
    # Whether exactly that row is meant, and not the best of ours.
    is_exact: bool = False

    def fits(self, row):
        return (self.work, self.link, self.place) == (row.work, row.link, row.place)


def at_most(bound, figure):
    return lambda ours, c, q: (figure(ours, c, q), figure(ours, c, q) <= bound)


def at_least(bound, figure):
    return lambda ours, c, q: (figure(ours, c, q), figure(ours, c, q) >= bound)


def p50_c(ours, c, q):
    return ours.p50 / c.p50


def p50_q(ours, c, q):
    return ours.p50 / q.p50


def p999_c(ours, c, q):
    return ours.p999 / c.p999


def p50_direct(ours, c, direct):
    return ours.p50 / direct.p50


def rate_direct(ours, c, direct):
    return ours.speed / direct.speed


def rate_c(ours, c, q):
    return ours.speed / c.speed


def rate_q(ours, c, q):
    return ours.speed / q.speed


def cpu_q(ours, c, q):
    return ours.cpu / q.cpu


TARGETS = [
    Target("1", "call", "unix", "one", "p50 <= 1.5 C", at_most(1.5, p50_c)),
    Target("1", "call", "unix", "one", "p99.9 <= 1.5 C", at_most(1.5, p999_c)),
    Target("2", "call", "tcp", "one", "p50 <= 1.4 C", at_most(1.4, p50_c)),
    Target("2", "call", "tcp", "one", "p50 <= 1/6 libqi", at_most(1 / 6, p50_q)),
    Target("3", "call", "tls", "one", "p50 <= 1.3 C", at_most(1.3, p50_c)),
    Target("4", "64 in flight", "unix", "one", ">= 0.20 C", at_least(0.20, rate_c)),
    Target("5", "64 in flight", "tcp", "one", ">= 50 libqi", at_least(50, rate_q)),
    Target("5", "64 in flight", "tcp", "one", "CPU <= 1/50 libqi", at_most(1 / 50, cpu_q)),
    Target("5", "64 in flight", "tcp", "free", ">= 20 libqi", at_least(20, rate_q)),
    Target("5", "64 in flight", "tcp", "free", "CPU <= 1/30 libqi", at_most(1 / 30, cpu_q)),
    Target("6", "64 in flight", "unix", "one", ">= 25 libqi", at_least(25, rate_q)),
    Target("7", "call", "in process", "free", "<= 0.15 us", at_most(0.15, lambda ours, c, q: ours.p50)),
    Target("7", "call", "in process", "free", "dynamic service <= 2 us", at_most(2, lambda ours, c, q: ours.p50), is_exact=True),
    Target("7", "call", "in process", "free", "<= 1/400 libqi", at_most(1 / 400, p50_q)),
    Target("8", "100 subscribers", "tcp", "one", ">= 0.5 C", at_least(0.5, rate_c)),
    Target("8", "100 subscribers", "tcp", "one", ">= 100 libqi", at_least(100, rate_q)),
    Target("8", "100 subscribers", "tcp", "one", "CPU <= 1/100 libqi", at_most(1 / 100, cpu_q)),
    Target("9", "1 MiB echo", "tcp", "one", ">= 0.9 C", at_least(0.9, rate_c)),
    Target("9", "1 MiB echo", "tcp", "one", ">= 3 libqi", at_least(3, rate_q)),
    Target("9", "10 MiB echo", "tcp", "one", ">= 0.9 C", at_least(0.9, rate_c)),
    Target("9", "10 MiB echo", "tcp", "one", ">= 3 libqi", at_least(3, rate_q)),
    Target("10", "1 MiB echo", "unix", "one", ">= 3 C", at_least(3, rate_c)),
    Target("10", "10 MiB echo", "unix", "one", ">= 3.5 C", at_least(3.5, rate_c)),
    Target("11", "connect, first call", "tcp", "one", "<= 1/10 libqi", at_most(1 / 10, p50_q)),
    Target("12", "KB per idle connection", "tcp", "free", "<= 1/8 libqi", at_most(1 / 8, p50_q)),
    Target("13", "call", "tcp", "one", "p50 <= 2.1 direct", at_most(2.1, p50_direct), who="gateway -> ours"),
    Target("13", "64 in flight", "tcp", "one", ">= 0.45 direct", at_least(0.45, rate_direct), who="gateway -> ours"),
    Target("13", "1 MiB echo", "tcp", "one", ">= 0.45 direct", at_least(0.45, rate_direct), who="gateway -> ours"),
    Target("14", "call", "tcp", "one", "p50 <= 0.65 libqi", at_most(0.65, p50_q), who="ours -> libqi"),
    Target("14", "call", "tcp", "one", "p50 <= 0.75 libqi", at_most(0.75, p50_q), who="libqi -> ours"),
]


def baselines(row, find):
    """What a row is judged by: raw C, and libqi; for what went through a gateway the same without it."""
    if row.who.startswith("gateway"):
        return find(row, "raw C"), find(row, "ours, loop")
    return find(row, "raw C"), find(row, "libqi") or find(row, "libqi", "tcp")


def judged(row, c, q):
    """Every target that speaks of a row: the target, its figure, and whether it is met."""
    for target in TARGETS:
        # "ours" is also "ours, loop" and the like; the mixed pairs have targets of their own.
        is_meant = row.who == target.who if target.is_exact or "->" in target.who else row.who.startswith("ours") and "->" not in row.who
        if not target.fits(row) or not is_meant:
            continue
        try:
            yield target, *target.judge(row, c, q)
        except (AttributeError, TypeError, ZeroDivisionError):
            continue


def said(target, figure, is_met):
    return f"#{target.number} {target.text}: {figure:.3g} {'met' if is_met else 'MISSED'}"


def verdicts(row, find):
    """What the targets say of a row, as text."""
    return "; ".join(said(*verdict) for verdict in judged(row, *baselines(row, find)))


def summary(rows, find):
    """One line for each target that was measured: met when one of our kinds meets it."""
    best = {}
    for row in rows:
        for target, figure, is_met in judged(row, *baselines(row, find)):
            known = best.get(target)
            is_better = known is None or (figure > known[0] if target.text.startswith(">=") else figure < known[0])
            if is_better:
                best[target] = (figure, is_met, row.who)
    for target in TARGETS:
        if target in best:
            figure, is_met, who = best[target]
            yield f"  {said(target, figure, is_met):44} {target.work}, {target.link}, {target.place} ({who})"
