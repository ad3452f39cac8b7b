"""The invariants, over a step, a state, and a state from which nothing can happen."""

from tests.model.folding import UNCAUSED, decide, first_intent, first_verdict, full_fold, last_fence, terminals, valid_D
from tests.model.state import lens


def compare(s, w, cfg):
    """I5 + I6: the worker's open chains are those of the full fold at its positions."""
    p, c, x, d = w.pos
    full, mine = full_fold(s.P[:p], s.C[:c], s.X[:x], s.D[:d], cfg)[0], dict(w.mem)
    return tuple(
        ("I6", f"{cid}: full fold {full.get(cid)}, worker {mine.get(cid)}")
        for cid in sorted(set(full) | set(mine))
        if full.get(cid) != mine.get(cid)
    )


def post_checks(s, w, cid, k, cfg):
    opened, ended, started = full_fold(s.P, s.C, s.X, s.D, cfg)
    owner, out = w.tok == last_fence(s.D), []
    ch = opened.get(cid)
    if k > (cfg.redo_from if cid[3] else 1):
        v = first_verdict(s.C, s.D, cid, k - 1, cfg.on)
        if v is None or v[1] != "ok":
            out.append(("I2", f"step {k} of {cid} POSTed without success of step {k - 1}"))
    if cid not in started:
        out.append(("I7", f"POST of {cid} that no log explains"))
    elif cid in ended:
        out.append(
            ("I3-post", f"the owner POSTs step {k} of {cid} after its valid end ({ended[cid]})")
            if owner
            else ("note-zombie-post", f"a zombie POSTs step {k} of {cid} after its valid end")
        )
    elif owner and ch.v[k - 1] and w.pos[1] >= len(s.C):
        out.append(("I3-post", f"step {k} POSTed though its verdict was read"))
    return tuple(out)


def state_checks(s, cfg):
    """Invariants over a whole state."""
    out, term = [], terminals(s.D)
    for cid, ts in term.items():
        if len(ts) > 1:
            out.append(("I3", f"two terminal events with a valid token: {[t[1:4] for t in ts]}"))
        _, _kind, step, reason, read_to = ts[0]
        if reason in UNCAUSED and "seal" in cfg.on:
            intent = first_intent(s.D, cid, step)
            sealed = next((o for o, r in enumerate(s.C) if r == ("seal", cid, step, intent)), None)
            if sealed is None or sealed >= read_to:
                out.append(("I9", f"halt({reason}, step {step}) without its StepSealed below read_to {read_to}"))
            elif any(r[:2] == (cid, step) for r in s.C[:sealed]):
                out.append(
                    ("I9", f"halt({reason}, step {step}) though a verdict lies below its StepSealed at C{sealed}")
                )
        if (
            not cfg.expect_final
            and step == cfg.steps
            and reason == "failure"
            and any(r[2:5] == (cid, "delivered", step) for _, r in valid_D(s.D))
        ):
            out.append(
                (
                    "I5-final",
                    "the last step was delivered, no final callback is expected, yet the chain halted(failure)",
                )
            )
    given = set()
    for cid, step, verdict, off, code in s.answers:
        f, t = first_verdict(s.C, s.D, cid, step, cfg.on), term.get(cid)
        if code == 200:
            given.add((cid, step, verdict))
            if f is None or f[1] != verdict:
                out.append(("I4", f"200 for {verdict} of step {step}, first verdict is {f}"))
            if t and t[0][1] == "halt" and t[0][2] == step and t[0][3] in UNCAUSED:
                out.append(
                    ("I4-counts", f"{verdict} of step {step} was answered 200, chain halted({t[0][3]}) at that step")
                )
        elif code == 400 and (cid, step, verdict) in given and not cfg.stale:
            # A deposed leader may hide it from a replica that had not read it: that changes no chain (design section 6).
            out.append(("I4-repeat", f"{verdict} of step {step} answered 200, its repeat 400"))
        elif (
            code == 400
            and off is not None
            and f
            and f[0] == off
            and t
            and t[0][3] in ("failure", None)
            and t[0][2] == step
        ):
            out.append(
                ("I4-own", f"{verdict} of step {step} was appended first and decided the chain, yet answered 400")
            )
    for cid, step, intent in {r[1:] for r in s.C if r[0] == "seal"}:
        refused = any(a[:2] == (cid, step) and a[4] == 400 for a in s.answers)
        if refused and first_verdict(s.C, s.D, cid, step, cfg.on) is None and intent != first_intent(s.D, cid, step):
            real = ("seal", cid, step, first_intent(s.D, cid, step))
            if real not in s.C and cid not in term and s.now <= cfg.deadline:
                out.append(("I4-forged", f"a verdict of step {step} is refused though no intent of it was sealed"))
    for i, w in enumerate(s.ws):
        if w.st != "run":
            continue
        if w.pos[3] == len(s.D) and w.tok < last_fence(s.D):
            out.append(
                ("I8-void", f"w{i} has read deliveries to its end, is fenced, and runs on: all its decisions are void")
            )
        if w.pos == lens(s) and w.tok == last_fence(s.D) and not w.pend and not w.busy:
            opened = full_fold(s.P, s.C, s.X, s.D, cfg)[0]
            if dict(w.mem) != opened:
                out.append(("I8", f"the owner has read all and does not know {set(opened) ^ {c for c, _ in w.mem}}"))
    if cfg.stale_readers:
        out += stale_readers(s, cfg)
    if cfg.forget and "offset_id" in cfg.on:
        out += swallowed(s, cfg)
    return out


def swallowed(s, cfg):
    """I1: what is accepted runs, unless it repeats, by the brokers' time, one that started within its window before it.

    Brokers' clocks that differ by so much may make that longer by as much.
    """
    out, started = [], full_fold(s.P, s.C, s.X, s.D, cfg)[2]
    slack = cfg.bskew + (cfg.back if cfg.bahead else 0)
    began = {o: (push, t) for o, (_, push, _, t) in enumerate(s.P) if (push, o, 0, 0) in started}
    for o, (_, push, _, t) in enumerate(s.P):
        if o not in began and not any(
            b < o and p == push and -slack <= t - t0 <= cfg.forget + slack for b, (p, t0) in began.items()
        ):
            out.append(("I1-swallowed", f"push {push} at P{o} (time {t}) starts nothing, and repeats none of {began}"))
    return out


def stale_readers(s, cfg):
    """I10: a reader that starts at any offset of D judges every decision as a full reader does."""
    good, out = {o for o, _ in valid_D(s.D)}, []
    for start in range(1, len(s.D)):
        fin, frm, got = -1, start, set()
        if "midlog" in cfg.on:
            tok = next((r[1] for r in s.D[start:] if r[0] == "dec"), None)
            frm = tok if tok is not None and tok < start else start
        for o in range(frm, len(s.D)):
            if s.D[o][0] == "fence":
                fin = o
            elif s.D[o][1] == fin or fin < 0:
                got.add(o)
        if {o for o in got if o >= start} != {o for o in good if o >= start}:
            out.append(
                ("I10", f"a reader that starts at D{start} takes {sorted(got)} for valid, valid are {sorted(good)}")
            )
    return out


def quiet_checks(s, cfg):
    """A state from which nothing can happen: with an owner running, no chain may wait for a decision."""
    out = []
    for i, w in enumerate(s.ws):
        if w.st == "stopped" and w.tok == last_fence(s.D):
            for cid in full_fold(s.P, s.C, s.X, s.D, cfg)[0]:
                out.append(
                    (
                        "I8-stopped",
                        f"{cid} is open, and w{i} reads no further for a record that is no fault of the log's",
                    )
                )
        if w.st == "run" and w.tok == last_fence(s.D):
            mine = dict(w.mem)
            for cid in full_fold(s.P, s.C, s.X, s.D, cfg)[0]:
                a = decide(mine[cid], s.now, cfg) if cid in mine else None
                if a is None or a[0] in ("dec", "seal"):
                    out.append(("I8-stuck", f"nothing can happen, {cid} is open, w{i} would {a}"))
    return out
