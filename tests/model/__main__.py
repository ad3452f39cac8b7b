"""Explore the model: `python -m tests.model --check`, `--list`, SCENARIO..., `--all`, `--walk N`.

Each scenario runs with every rule on (no violation expected) and with each of its rules off, alone (one expected, the first
trace is the shortest). `--check` does so with the small scenarios, says only what is wrong, and exits with 1 if anything is.
"""

import argparse
import sys
import time

from tests.model.explore import bfs, real, show, walk
from tests.model.rules import RULES
from tests.model.scenarios import NOT_SHOWN, SCENARIOS, SMALL, WALKS


def check():
    """What is wrong with the small scenarios, in words; nothing where all is well."""
    wrong, began, states = [], time.monotonic(), 0
    for name in SMALL:
        _, cfg, flags = SCENARIOS[name]
        n, _, complete, found = bfs(cfg, 100_000, 60)
        states += n
        if real(found) or not complete:
            wrong.append(f"{name}: with every rule on: {sorted(real(found)) or 'not explored to its end'}")
            show(real(found), traces=True)
        for flag in (flag for flag in flags if (name, flag) not in NOT_SHOWN):
            n, _, _, found = bfs(cfg._replace(on=cfg.on - {flag}), 100_000, 60)
            states += n
            if not real(found):
                wrong.append(f"{name}: nothing goes wrong without {flag}: {RULES[flag]}")
    print(f"model: {len(SMALL)} scenarios, {states} states, {time.monotonic() - began:.1f} s")
    return wrong


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("names", nargs="*")
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--all", action="store_true")
    ap.add_argument("--limit", type=int, default=1_500_000, help="states")
    ap.add_argument("--seconds", type=float, default=60)
    ap.add_argument("--quiet", action="store_true", help="no traces")
    ap.add_argument("--on", action="store_true", help="only with every rule on")
    ap.add_argument("--every", action="store_true", help="go on after the first violation")
    ap.add_argument("--walk", type=int, default=0, help="seeds of random walks, every rule on")
    ap.add_argument("--depth", type=int, default=150)
    ap.add_argument("--seed", type=int, default=1)
    return ap.parse_args()


def main():
    a = arguments()
    if a.check:
        for said in (wrong := check()):
            print(said, file=sys.stderr)
        return 1 if wrong else 0
    if a.list:
        for name, (doc, _, flags) in SCENARIOS.items():
            print(f"{name:20} {doc} {list(flags)}")
        for flag, rule in RULES.items():
            print(f"  rule {flag:11} {rule}")
    for name, cfg in WALKS.items() if a.walk else ():
        done, steps, distinct, found = walk(cfg, range(a.seed, a.seed + a.walk), a.depth, a.seconds)
        said = sorted(real(found)) or "none"
        print(f"walk {name}: {done} walks, {steps} steps, {distinct} distinct states, violations: {said}", flush=True)
        show(real(found), not a.quiet)
    for name in SCENARIOS if a.all else a.names:
        explore(name, a)
    return 0


def explore(name, a):
    """One scenario, with every rule and without each of its own."""
    doc, cfg, flags = SCENARIOS[name]
    print(f"== {name}: {doc}")
    for flag in ("", *(() if a.on else flags)):
        began = time.monotonic()
        n, depth, complete, found = bfs(cfg._replace(on=cfg.on - {flag}), a.limit, a.seconds, not a.every)
        bad = real(found)
        how = "exhaustive" if complete else "stopped at the first violation" if bad and not a.every else "NOT exhausted"
        print(
            f"  {'-' + flag if flag else 'every rule on'}: {n} states, depth {depth}, {how}, "
            f"{time.monotonic() - began:.1f} s, violations: {sorted(bad) or 'none'}"
            + (f"; {sorted(set(found) - set(bad))}" if set(found) - set(bad) else ""),
            flush=True,
        )
        show(bad, not a.quiet)


if __name__ == "__main__":
    sys.exit(main())
