"""What the plugin costs a delivery and a submission, beside the same without it.

Prints one figure a line: name, value, unit, 95 % confidence interval; "#" begins a remark. Behind each ratio comes its
"-aa": the same between two instances that both are without the plugin. As far as that is off 1, this machine errs.

*-cpu: CPU time of the lmtp process, user and kernel. *-instructions: its user instructions, counted by callgrind, which
repeat almost exactly. Both of a process that has delivered before. lda-*: of a whole dovecot-lda, its start included.

lmtp-catch-up-*: a forged report; before it is called so, the Sent mailbox is read: nothing new, 100 copies, 10,000 of which the
log knows none. (A remark says how many were not judged, since it took more than a second.)

lmtp-spf-*: with SPF on, where the MX has checked it (trusted), every answer is in the cache (cached), or two questions go to
a name server on this host (asked). -service-cpu: of the processes that evaluate SPF, for one message. -time: from the client's first command to the last reply.

submission-*-time: from the client's first command to the last reply, with a real Postfix as the relay. -fsync: what of it
the log's fsync() takes (beside an instance where fsync() does nothing); -fsync-share: of the whole.

As root, after make. Ends with 1 if ordinary mail takes more instructions than it may.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "e2e" / "helpers"))

from cases import CASES, CATCH_UP_CASES, OWNER, SMALL, SPF_CASES, SPF_ZONE, Case
from instance import AUTHSERV_ID, WARM_UP, CountedInstance, Instance, lda_instructions
from interval import Estimate, estimate, estimate_ratio
from nameserver import NameServer
from sending import NO_FSYNC, SENDING_CASES, SENDING_VARIANTS, SendingCase, SendingInstance, Sink, make_preload

PLAIN_A, PLAIN_B, PLUGIN = VARIANTS = ["plain-a", "plain-b", "plugin"]
ROUNDS, QUICK_ROUNDS = 200, 3
CATCH_UP_ROUNDS = 10, 3    # where little is read, and where much is
BLOCK = 10              # rounds before the mailboxes are emptied and the processes replaced
COUNTED_ROUNDS, QUICK_COUNTED_ROUNDS = 5, 2
LDA = "lda-ham-4k"

# The most that ordinary mail may cost. The same holds for lmtp-ham-4k-cpu; lmtp-spf-trusted-4k-cpu may be 1.03, and with 10
# recipients 1.02. But these are for a reader to judge, with the -aa beside them: they can be further off than their
# intervals say.
TARGETS = {"lmtp-ham-4k-instructions": 1.02, "lmtp-spf-trusted-4k-instructions": 1.04}

# What one delivery cost, by variant.
Costs = dict[str, float]


@dataclass
class Figure:
    name: str
    value: Estimate
    unit: str

    def __str__(self) -> str:
        digits = 1 if self.unit == "us" else 3
        return f"{self.name} {self.value.value:.{digits}f} {self.unit} {self.value.low:.{digits}f}-{self.value.high:.{digits}f}"

    @property
    def too_high(self) -> bool:
        return self.value.low > TARGETS.get(self.name, float("inf"))


class Bench:
    def __init__(self, rounds: int, counted_rounds: int, only: str):
        self.rounds, self.counted_rounds, self.only = rounds, counted_rounds, only
        self.serials = count(1)
        self.figures: list[Figure] = []

    def run(self) -> None:
        self.measure_cpu([case for case in CASES if self.only in f"{case.name}-cpu"], {})
        self.measure_catch_up([case for case in CATCH_UP_CASES if self.only in f"{case.name}-cpu"])
        with NameServer(SPF_ZONE) as names, tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/tmp") as folder:
            Path(folder).chmod(0o777)     # lda writes as its user
            spf = {"backscatter_spf": "yes", "backscatter_spf_dns": names.where, "backscatter_authserv_id": AUTHSERV_ID,
                   "backscatter_trusted_authserv": "mx.example.test"}
            self.measure_cpu([case for case in SPF_CASES if self.only in f"{case.name}-cpu"], spf)
            for cases, settings in ((CASES, {}), (SPF_CASES, spf)):
                self.count_instructions([case for case in cases if self.only in f"{case.name}-instructions"], settings,
                                        Path(folder))
            if self.only in f"{LDA}-instructions":
                self.count_lda(Path(folder))
            self.measure_sending([case for case in SENDING_CASES if self.only in f"{case.name}-time-cpu"], Path(folder))

    def print(self, name: str, unit: str, found: Estimate) -> None:
        self.figures.append(Figure(name, found, unit))
        print(self.figures[-1], flush=True)

    def print_ratios(self, name: str, blocks: list[list[Costs]]) -> None:
        self.print(name, "ratio", estimate_ratio([[cost[PLUGIN] / plain(cost) for cost in block] for block in blocks]))
        self.print(f"{name}-aa", "ratio", estimate_ratio([[cost[PLAIN_A] / cost[PLAIN_B] for cost in block]
                                                          for block in blocks]))

    def serials_of(self, rounds: int, batch: int) -> list[list[int]]:
        """Of the messages to warm up with, and of each round's."""
        return [[next(self.serials) for _ in range(size)] for size in [WARM_UP] + [batch] * rounds]

    # CPU time

    def measure_cpu(self, cases: list[Case], settings: dict[str, str]) -> None:
        """settings: the plugin's."""
        with ExitStack() as stack:
            instances = [stack.enter_context(Instance(name, settings)) for name in VARIANTS] if cases else []
            for instance in instances:
                instance.cover()
            for case in cases:
                blocks = [self.measure_block(case, instances, min(BLOCK, self.rounds - start))
                          for start in range(0, self.rounds, BLOCK)]
                self.print_ratios(f"{case.name}-cpu", blocks)
                if case.verdict or case.spf:
                    self.print(f"{case.name}-cpu-added", "us", estimate(
                        [[(cost[PLUGIN] - plain(cost)) / 1000 for cost in block] for block in blocks]))
                if case.spf:
                    self.print(f"{case.name}-service-cpu", "us", estimate(
                        [[cost["service"] / 1000 for cost in block] for block in blocks]))
                    self.print_ratios(f"{case.name}-time", suffixed(blocks, "-time"))

    def measure_block(self, case: Case, instances: list[Instance], rounds: int) -> list[Costs]:
        warm_up, *serials = self.serials_of(rounds, case.batch)
        for instance in instances:
            instance.empty_mailboxes()
            instance.prepare(case, sum(serials, warm_up))
            instance.connect()
            instance.deliver(case, warm_up)
        costs = [self.measure_round(case, instances, batch) for batch in serials]
        for instance in instances:
            instance.disconnect()
            instance.check(case, WARM_UP + rounds * case.batch)
        return costs

    @staticmethod
    def measure_round(case: Case, instances: list[Instance], batch: list[int]) -> Costs:
        costs = {}
        for instance in random.sample(instances, len(instances)):
            service_before, before, started = instance.service_cpu(), instance.cpu(), time.monotonic()
            instance.deliver(case, batch)
            costs[f"{instance.name}-time"] = (time.monotonic() - started) / len(batch)
            costs[instance.name] = (instance.cpu() - before) / len(batch)
            if instance.with_plugin:
                costs["service"] = (instance.service_cpu() - service_before) / len(batch)
        return costs

    def measure_catch_up(self, cases: list[Case]) -> None:
        """Each round has a Sent mailbox with something new, and a process that has delivered before."""
        with ExitStack() as stack:
            instances = [stack.enter_context(Instance(name, {})) for name in VARIANTS] if cases else []
            for instance in instances:
                instance.cover()
            for case in cases:
                rounds = min(self.rounds, CATCH_UP_ROUNDS[case.anew])
                costs = [self.measure_catch_up_round(case, instances) for _ in range(rounds)]
                verdicts = [message.verdict["verdict"] for message in instances[-1].dovecot.messages(OWNER)]
                remark(f"{case.name}: {rounds} rounds, {len(verdicts) - verdicts.count(case.verdict)} reports not judged")
                self.print_ratios(f"{case.name}-cpu", [costs])
                self.print(f"{case.name}-cpu-added", "us", estimate([[(cost[PLUGIN] - plain(cost)) / 1000 for cost in costs]]))
                self.print_ratios(f"{case.name}-time", suffixed([costs], "-time"))

    def measure_catch_up_round(self, case: Case, instances: list[Instance]) -> Costs:
        warm_up, batch = self.serials_of(1, 1)
        for instance in instances:
            instance.connect()
            instance.deliver(case, warm_up)
            instance.fill_sent(case)
        costs = self.measure_round(case, instances, batch)
        for instance in instances:
            instance.disconnect()
        return costs

    # Submission

    def measure_sending(self, cases: list[SendingCase], folder: Path) -> None:
        if not cases:
            return
        preload = make_preload(folder)
        with ExitStack() as stack:
            relay = stack.enter_context(Sink())
            instances = [stack.enter_context(SendingInstance(name, relay, preload)) for name in SENDING_VARIANTS]
            for case in cases:
                self.print_sending(case, [self.measure_sending_block(case, instances, min(BLOCK, self.rounds - start))
                                          for start in range(0, self.rounds, BLOCK)])

    def measure_sending_block(self, case: SendingCase, instances: list[SendingInstance], rounds: int) -> list[Costs]:
        """Seconds of a message, and as "NAME-cpu" its nanoseconds."""
        warm_up, *serials = self.serials_of(rounds, case.batch)
        for instance in instances:
            instance.connect(case)
            instance.send(case, warm_up)
        costs = []
        for batch in serials:
            costs.append(cost := {})
            for instance in random.sample(instances, len(instances)):
                before = instance.cpu()
                cost[instance.name] = instance.send(case, batch) / len(batch) / case.connections
                cost[f"{instance.name}-cpu"] = (instance.cpu() - before) / len(batch)
        for instance in instances:
            instance.disconnect()
        return costs

    def print_sending(self, case: SendingCase, blocks: list[list[Costs]]) -> None:
        def difference(more, less) -> Estimate:
            return estimate([[(more(cost) - less(cost)) * 1_000_000 for cost in block] for block in blocks])

        with_plugin, without_fsync = (lambda cost: cost[PLUGIN]), (lambda cost: cost[NO_FSYNC])
        rates = [1 / estimate([[take(cost) for cost in block] for block in blocks]).value for take in (plain, with_plugin)]
        remark(f"{case.name}: {rates[0]:.1f} messages/s without the plugin, {rates[1]:.1f} with it")
        self.print_ratios(f"{case.name}-time", blocks)
        self.print(f"{case.name}-time-added", "us", difference(with_plugin, plain))
        self.print(f"{case.name}-time-fsync", "us", difference(with_plugin, without_fsync))
        self.print(f"{case.name}-time-fsync-share", "ratio", estimate(
            [[1 - cost[NO_FSYNC] / cost[PLUGIN] for cost in block] for block in blocks]))
        if not case.sessions:
            self.print_ratios(f"{case.name}-cpu", suffixed(blocks, "-cpu"))

    # User instructions

    def count_instructions(self, cases: list[Case], settings: dict[str, str], folder: Path) -> None:
        if not cases:
            return
        plan = {case.name: self.serials_of(self.counted_rounds, case.batch) for case in cases}
        counts: dict[str, list[Costs]] = {case.name: [{} for _ in range(self.counted_rounds)] for case in cases}
        for name in VARIANTS:
            with CountedInstance(name, settings, folder) as instance:
                instance.cover()
                for case in cases:
                    instance.prepare(case, sum(plan[case.name], []))
                instance.connect()
                for case in cases:
                    instance.empty_mailboxes()
                    warm_up, *serials = plan[case.name]
                    instance.deliver(case, warm_up)
                    instance.instructions()
                    for cost, batch in zip(counts[case.name], serials):
                        instance.deliver(case, batch)
                        cost[name] = instance.instructions() / len(batch)
                    instance.check(case, WARM_UP + self.counted_rounds * case.batch)
                instance.disconnect()
        for name, costs in counts.items():
            self.print_ratios(f"{name}-instructions", [costs])

    def count_lda(self, folder: Path) -> None:
        costs: list[Costs] = [{} for _ in range(self.counted_rounds)]
        message = SMALL.replace(b"\r\n", b"\n")
        for name in VARIANTS:
            with Instance(name, {}) as instance:
                lda_instructions(instance, message, folder)
                for cost in costs:
                    cost[name] = lda_instructions(instance, message, folder)
        self.print_ratios(f"{LDA}-instructions", [costs])


def plain(cost: Costs) -> float:
    return (cost[PLAIN_A] + cost[PLAIN_B]) / 2


def suffixed(blocks: list[list[Costs]], suffix: str) -> list[list[Costs]]:
    """Only the costs whose names end so, without it."""
    return [[{name.removesuffix(suffix): value for name, value in cost.items() if name.endswith(suffix)} for cost in block]
            for block in blocks]


def remark(text: str) -> None:
    print(f"# {text}", flush=True)


def load() -> str:
    return "load " + " ".join(f"{average:.2f}" for average in os.getloadavg())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"rounds of each CPU figure (default {ROUNDS})")
    parser.add_argument("--only", default="", metavar="NAME", help="figures whose name contains NAME (lmtp-ham-4k-cpu)")
    parser.add_argument("--quick", action="store_true", help="too few rounds to tell anything: to see that it works")
    options = parser.parse_args()
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


def main() -> int:
    options = arguments()
    if os.geteuid() != 0 or shutil.which("valgrind") is None:
        sys.exit("bench.py: needs root, and valgrind")
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    remark(f"Dovecot {version}, {os.cpu_count()} cores, {load()}, {options.rounds} rounds")
    started = time.monotonic()
    bench = Bench(options.rounds, QUICK_COUNTED_ROUNDS if options.quick else COUNTED_ROUNDS, options.only)
    bench.run()
    remark(f"{time.monotonic() - started:.0f} s, {load()}")
    too_high = [figure for figure in bench.figures if figure.too_high]
    for figure in too_high:
        print(f"bench.py: {figure}: at most {TARGETS[figure.name]} is allowed", file=sys.stderr)
    return 1 if too_high else 0


if __name__ == "__main__":
    sys.exit(main())
