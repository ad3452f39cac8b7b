"""The world around: ingress, console, time, what lands late, receivers and callbacks; and `successors` of a state."""

from tests.model.folding import UNCAUSED, first_verdict, full_fold, intent, terminals
from tests.model.state import BI, W, left, set_w, use
from tests.model.worker import worker_actions


def env_actions(s, cfg, out):
    on = cfg.on
    stamps = push_times(s, cfg)
    if left(s, "push", cfg.pushes):
        k = s.n[BI["push"]]
        for t in stamps:
            out.append(
                (f"ingress appends PushReceived {k} {said(t)}", use(s, "push")._replace(P=(*s.P, ("push", k, *t))), ())
            )
    if s.P and left(s, "dup", cfg.dup_push):
        for k in sorted({r[1] for r in s.P}):
            for t in stamps:
                out.append(
                    (
                        f"ingress appends PushReceived {k} again {said(t)}",
                        use(s, "dup")._replace(P=(*s.P, ("push", k, *t))),
                        (),
                    )
                )
    if s.now < cfg.max_time:
        out.append((f"time {s.now + 1}", s._replace(now=s.now + 1), ()))
    if s.P and left(s, "cancel", cfg.cancels):
        for cid in sorted(full_fold(s.P, (), s.X, (), cfg)[2]):
            out.append((f"console: CancelRequested {cid}", use(s, "cancel")._replace(X=(*s.X, ("cancel", cid))), ()))
    if s.P and left(s, "redo", cfg.redos):
        out.append(
            (
                f"console: RedeliveryRequested from step {cfg.redo_from} at X{len(s.X)}",
                use(s, "redo")._replace(X=(*s.X, ("redo", s.P[0][1], 0, 0, cfg.redo_from))),
                (),
            )
        )
    for j, (tp, rec) in enumerate(s.net):
        t = s._replace(net=s.net[:j] + s.net[j + 1 :])
        if tp == "commit":
            ok = rec[0] == s.gen or "gen" not in on
            out.append(
                (
                    f"a late commit of generation {rec[0]} lands: image {rec[1][1]}" + ("" if ok else ", refused"),
                    t._replace(com=rec[1]) if ok else t,
                    (),
                )
            )
        else:
            out.append(
                (
                    f"a late record lands at {tp}{len(getattr(s, tp))}: {rec[:2]}",
                    t._replace(**{tp: (*getattr(t, tp), rec)}),
                    (),
                )
            )
    for i, w in enumerate(s.ws):
        if w.st == "run" and w.gen != s.gen and left(s, "rejoin", cfg.rejoin):
            out.append(
                (
                    f"w{i} gets p back in generation {s.gen + 1}, keeps memory and token",
                    set_w(use(s, "rejoin")._replace(gen=s.gen + 1), i, w._replace(gen=s.gen + 1)),
                    (),
                )
            )
    if s.P and left(s, "misfit", cfg.misfits):
        for cid in sorted(full_fold(s.P, (), s.X, (), cfg)[2]):
            rec = (cid, cfg.steps + 1, "ok", s.now, s.now)
            out.append(
                (
                    f"a verdict for step {cfg.steps + 1} of {cid} lies at C{len(s.C)}",
                    use(s, "misfit")._replace(C=(*s.C, rec)),
                    (),
                )
            )
    if left(s, "cb", cfg.cbs):  # receivers call back with any token they hold
        for cid, step, exp in s.posted:
            for v in cfg.verdicts:
                t, lab = use(s, "cb"), f"receiver calls back {v} for step {step} of {cid}"
                for a in prechecks(s, cid, step, v, exp, on):
                    if a is None:
                        rec = (cid, step, v, exp, s.now)
                        out.append(
                            (
                                lab + f": appended at C{len(s.C)}",
                                t._replace(C=(*s.C, rec), calls=(*t.calls, (cid, step, v, len(s.C)))),
                                (),
                            )
                        )
                        if cfg.late and "C" in cfg.late_kinds and left(s, "late", cfg.late):
                            out.append(
                                (
                                    lab + ": sent, no answer: 503; it is still on its way",
                                    answer(use(t, "late")._replace(net=(*t.net, ("C", rec))), cid, step, v, None, 503),
                                    (),
                                )
                            )
                    else:
                        out.append((lab + f": answered {a} at once", answer(t, cid, step, v, None, a), ()))
    for j, (cid, step, v, off) in enumerate(s.calls):
        code = final_answer(s, cid, step, v, off, on)
        out.append(
            (
                f"callbacks reads deliveries to its end (D{len(s.D)}), answers {code} to {v}({step}) at C{off}",
                answer(s._replace(calls=s.calls[:j] + s.calls[j + 1 :]), cid, step, v, off, code),
                (),
            )
        )


def push_times(s, cfg):
    """(producer's time, broker's time) that a push may get now. A producer's matters only where it is gone by."""
    producers = range(s.now, s.now + 1 + cfg.pahead) if "broker_time" not in cfg.on else (s.now,)
    brokers = [*range(max(0, s.now - cfg.bskew), s.now + 1)] + ([s.now + cfg.bahead] if cfg.bahead else [])
    return [(t, b) for t in producers for b in brokers]


def said(times):
    return "(time {}, by its broker {})".format(*times)


def answer(s, cid, step, v, off, code):
    return s._replace(answers=(*s.answers, (cid, step, v, off, code)))


def prechecks(s, cid, step, v, exp, on):
    """Answers possible before anything is appended (None: append), with the two tails of a replica at any prefix."""
    fresh = precheck(s, cid, step, v, exp, on, first_verdict(s.C, cid, step), s.D)
    got = [fresh]
    for c in range(len(s.C) + 1):
        f = first_verdict(s.C[:c], cid, step)
        for d in range(len(s.D) + 1):
            a = precheck(s, cid, step, v, exp, on, f, s.D[:d])
            if a is not None and "row_end" in on:
                a = fresh  # every answer but an append: both logs read to their ends first
            if a not in got:
                got.append(a)
    return got


def precheck(s, cid, step, v, exp, on, f, D):
    """The rows of design.md section 6, in order; f: the first verdict its tail knows, D: its tail of deliveries."""
    t = terminals(D).get(cid)
    over = t and t[0][1] == "halt" and t[0][2] == step and t[0][3] in UNCAUSED
    closing = "seal" in on and intent(D, cid, step, on, f)
    if f and not over and not closing:
        return 200 if f[1] == v else 400
    if f and closing and "row_order" in on:
        return 503
    if t or s.now > exp:
        return 400
    return 503 if closing else None


def final_answer(s, cid, step, v, off, on):
    f, t = first_verdict(s.C, cid, step), terminals(s.D).get(cid)
    if "seal" in on and intent(s.D, cid, step, on, f):
        return 503
    halted = t and t[0][1] == "halt"
    if halted and ("own_400" not in on or ("seal" in on and t[0][2] == step and t[0][3] in UNCAUSED)):
        return 400
    return 200 if f[1] == v else 400


def successors(s, cfg):
    out = []
    env_actions(s, cfg, out)
    for i in range(len(s.ws)):
        if i and s.ws[i] == s.ws[i - 1] == W():
            continue  # symmetric
        worker_actions(s, i, cfg, out)
    return out
