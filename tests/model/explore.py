"""Breadth-first search and random walks over the model's states.

Breadth first, so that the first trace is a shortest one; states are kept as 64-bit hashes (a collision could hide a state:
odds below 1e-6 at these sizes).
"""

import random
import time
from collections import deque

from tests.model.checks import quiet_checks, state_checks
from tests.model.outside import successors
from tests.model.state import initial


def real(found):
    return {k: v for k, v in found.items() if not k.startswith("note")}


def bfs(cfg, limit, seconds, stop_first=True):
    """-> (states, depth, exhausted?, {invariant: (message, trace)})."""
    s0 = initial(cfg)
    parent, found, depth, n = {hash(s0): None}, {}, 0, 0
    queue, t0 = deque([(s0, hash(s0), 0)]), time.monotonic()

    def trace(h, last=None):
        steps = [last] if last else []
        while parent[h]:
            h, label = parent[h]
            steps.append(label)
        return steps[::-1]

    while queue:
        s, h, depth = queue.popleft()
        n += 1
        if n % 1000 == 0 and (len(parent) > limit or time.monotonic() - t0 > seconds):
            return len(parent), depth, False, found
        succ = successors(s, cfg)
        for inv, msg in [] if succ else quiet_checks(s, cfg):
            found.setdefault(inv, (msg, trace(h)))
        for label, t, viol in succ:
            th = hash(t)
            for inv, msg in viol:
                if inv not in found:
                    found[inv] = (msg, trace(h, label))
            if th not in parent:
                parent[th] = (h, label)
                for inv, msg in state_checks(t, cfg):
                    if inv not in found:
                        found[inv] = (msg, trace(th))
                queue.append((t, th, depth + 1))
            if stop_first and real(found):
                return len(parent), depth + 1, False, found
    return len(parent), depth, True, found


def walk(cfg, seeds, depth, seconds):
    """Random deep walks; -> (walks, steps, distinct states, {invariant: (message, trace)})."""
    found, steps, seen, done, t0 = {}, 0, set(), 0, time.monotonic()
    for seed in seeds:
        rnd, s, tr = random.Random(seed), initial(cfg), []
        for _ in range(depth):
            succ = successors(s, cfg)
            if not succ:
                for inv, msg in quiet_checks(s, cfg):
                    found.setdefault(inv, (msg + f" (seed {seed})", list(tr)))
                break
            # three times in four something goes on; else a fault, a tick or the outside world
            go = [
                x
                for x in succ
                if (x[0][0] == "w" and not any(b in x[0] for b in ("crash", "drops", "Fence", "join")))
                or x[0].startswith("callbacks")
            ]
            label, s, viol = rnd.choice(go if go and rnd.random() < 0.75 else succ)
            tr.append(label)
            steps += 1
            seen.add(hash(s))
            for inv, msg in list(viol) + state_checks(s, cfg):
                if inv not in found:
                    found[inv] = (msg + f" (seed {seed})", list(tr))
        done += 1
        if time.monotonic() - t0 > seconds:
            break
    return done, steps, len(seen), found


def show(found, traces):
    for inv, (msg, tr) in found.items():
        print(f"    {inv}: {msg}")
        for j, step in enumerate(tr if traces else [], 1):
            print(f"      {j:2}. {step}")
