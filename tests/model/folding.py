"""Fold, decide, and what every reader says of a log. Pure."""

from functools import lru_cache

from tests.model.state import Ch, put


def cause(cid, on):
    """(topic index, offset) of what started the chain."""
    return (0, cid[1]) if cid[3] == 0 else (2, cid[3] - ("run_plus" in on))


def ready(pos, t, rec, on):
    """Causal reading: may this record be handed out?"""
    if t == 0 or rec[0] == "fence" or "causal" not in on:
        return True
    if t == 1 and rec[0] == "seal":
        if "seal_causal" in on and pos[3] <= rec[3]:
            return False
        rec = rec[1:]
    if rec[0] == "redo":
        return pos[0] > rec[2]
    topic, off = cause(rec[2] if t == 3 else rec[1] if t == 2 else rec[0], on)
    return topic == t or pos[topic] > off


class Mem:
    """Mutable view of a fold; `full` keeps ended chains too (marked) and never drops a table entry."""

    def __init__(self, cfg, mem=(), rep=(), clk=0, full=False, now=0):
        self.cfg, self.m, self.rep, self.clk, self.full, self.now = cfg, dict(mem), rep, clk, full, now
        self.term = {}

    def start(self, cid, frm):
        if cid not in self.m and cid not in self.term:
            e = (None,) * self.cfg.steps
            self.m[cid] = Ch(frm, e, e, (0,) * self.cfg.steps, e, e)

    def P(self, off, rec):
        _, push, producers, brokers = rec
        cfg = self.cfg
        t = brokers if "broker_time" in cfg.on else producers
        if "clock_back" in cfg.on and cfg.back and self.clk - t > cfg.back:
            self.clk, self.rep = t, ()
        if "push_clock" in cfg.on:
            t = self.clk = max(t, self.clk)
        if cfg.forget and not self.full:
            edge = t if "event_time" in cfg.on else self.now
            self.rep = tuple(r for r in self.rep if edge - r[2] <= cfg.forget)
        known = any(p == push and o < off and (not cfg.forget or t - t0 <= cfg.forget) for p, o, t0 in self.rep)
        if not known or "first_window" not in cfg.on:
            self.rep += ((push, off, t),)
        if not known:
            for n in range(cfg.plan):
                self.start((push, off if "offset_id" in cfg.on else 0, n, 0), 1)

    def X(self, off, rec):
        if rec[0] == "redo":
            _, push, poff, n, frm = rec
            self.start((push, poff, n, off + ("run_plus" in self.cfg.on)), frm)
        elif rec[1] in self.m:
            self.m[rec[1]] = self.m[rec[1]]._replace(cancel=True)

    def C(self, off, rec):
        if rec[0] == "seal":
            _, cid, step, intent = rec
            ch, i = self.m.get(cid), step - 1
            if ch and ch.seal[i] is None and ch.v[i] is None:
                named = ch.closing[i] is not None and ch.closing[i][1] == intent
                if named or "seal_intent" not in self.cfg.on:
                    self.m[cid] = ch._replace(seal=put(ch.seal, i, off))
            return
        cid, i = rec[0], rec[1] - 1
        ch = self.m.get(cid)
        if ch and i < self.cfg.steps and ch.v[i] is None and (ch.seal[i] is None or "seal_final" not in self.cfg.on):
            self.m[cid] = ch._replace(v=put(ch.v, i, (rec[2], off)))

    def D(self, off, rec):
        _, _, cid, kind, step, extra, _ = rec
        ch, i = self.m.get(cid), step - 1
        if ch is None:
            return
        if kind == "delivered" and (ch.dl[i] is None or ch.dl[i] < extra):
            ch = ch._replace(dl=put(ch.dl, i, extra))
        elif kind == "failed":
            att, last, gone = extra
            ch = ch._replace(nf=put(ch.nf, i, max(ch.nf[i], att)))
            if last:
                ch = closing(ch, i, "gone" if gone else "delivery_failed", off)
        elif kind == "closing":
            ch = closing(ch, i, "timeout", off)
        if kind in ("halt", "done"):
            del self.m[cid]
            if self.full:
                self.term[cid] = extra or "completed"
        else:
            self.m[cid] = ch

    def freeze(self):
        return tuple(sorted(self.m.items()))


def closing(ch, i, reason, off):
    """With that intent, if it is the first of its step."""
    return ch if ch.closing[i] else ch._replace(closing=put(ch.closing, i, (reason, off)))


def decide(ch, now, cfg):
    """('post', step, att) | ('seal', step, intent) | ('dec', kind, step, extra) | ('wait', step)."""
    k, bad = cfg.steps + 1, None
    for j in range(ch.frm, cfg.steps + 1):
        if ch.v[j - 1] is None or ch.v[j - 1][0] != "ok":
            k, bad = j, ch.v[j - 1]
            break
    free = k == cfg.steps and not cfg.expect_final
    if bad:
        return ("dec", "done", k, None) if free and "final" in cfg.on else ("dec", "halt", k, "failure")
    if k > cfg.steps:
        return ("dec", "done", cfg.steps, None)
    if ch.cancel:
        return ("dec", "halt", k, "cancelled")
    if ch.dl[k - 1] is not None and free:
        return ("dec", "done", k, None)
    if ch.closing[k - 1]:
        reason, intent = ch.closing[k - 1]
        if "seal" in cfg.on and ch.seal[k - 1] is None:
            return ("seal", k, intent)
        return ("dec", "halt", k, reason)
    if ch.dl[k - 1] is not None:
        return ("dec", "halt", k, "timeout") if now >= ch.dl[k - 1] + cfg.margin else ("wait", k)
    return ("post", k, ch.nf[k - 1] + 1)


UNCAUSED = ("timeout", "delivery_failed", "gone")  # halts that no verdict and no user caused


@lru_cache(maxsize=300_000)
def valid_D(D):
    """Valid decisions [(offset, record)]: the one rule of every reader (I10)."""
    out, fin = [], -1
    for o, r in enumerate(D):
        if r[0] == "fence":
            fin = o
        elif r[1] == fin:
            out.append((o, r))
    return tuple(out)


def last_fence(D):
    return max((o for o, r in enumerate(D) if r[0] == "fence"), default=-1)


@lru_cache(maxsize=300_000)
def full_fold(P, C, X, D, cfg):
    """(open chains, {cid: end}, chains ever started) of these logs, causes first, nothing forgotten."""
    m = Mem(cfg, full=True)
    for o, r in enumerate(P):
        m.P(o, r)
    for o, r in enumerate(X):
        m.X(o, r)
    started = frozenset(m.m)
    for o, r in valid_D(D):  # before C: a StepSealed comes after its intent
        m.D(o, r)
    for o, r in enumerate(C):
        m.C(o, r)
    return m.m, m.term, started


@lru_cache(maxsize=300_000)
def terminals(D):
    """cid -> [(offset, kind, step, reason, read_to)] of valid terminal events."""
    out = {}
    for o, r in valid_D(D):
        if r[3] in ("halt", "done"):
            out.setdefault(r[2], []).append((o, *r[3:]))
    return out


def first_intent(D, cid, step):
    """The offset of the first valid intent of that step; None where there is none."""
    return next(
        (
            o
            for o, r in valid_D(D)
            if r[2] == cid and r[4] == step and (r[3] == "closing" or (r[3] == "failed" and r[5][1]))
        ),
        None,
    )


def verdict_or_seal(C, D, cid, step, on):
    """What callbacks says of that step first: (offset, verdict), or (offset, None) for a valid StepSealed; None for nothing."""
    intent, sealed = first_intent(D, cid, step), None
    for o, r in enumerate(C):
        if r[0] == "seal":
            if r[1:3] == (cid, step) and ("seal_intent" not in on or r[3] == intent) and sealed is None:
                sealed = (o, None)
                if "seal_final" in on:
                    return sealed
        elif r[:2] == (cid, step):
            return (o, r[2])
    return sealed


def first_verdict(C, D, cid, step, on):
    """(offset, verdict) of the one that counts; None where there is none."""
    found = verdict_or_seal(C, D, cid, step, on)
    return found if found and found[1] else None
