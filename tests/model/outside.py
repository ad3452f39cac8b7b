"""The world around: ingress, console, time, what lands late, receivers and callbacks; and `successors` of a state."""

from tests.model.folding import full_fold, terminals, verdict_or_seal
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
    if s.P and left(s, "forged", cfg.forged):
        for cid in sorted(full_fold(s.P, (), s.X, (), cfg)[2]):
            t = use(s, "forged")._replace(C=(*s.C, ("seal", cid, 1, max(0, len(s.D) - 1))))
            out.append((f"somebody else's StepSealed of {cid} lies at C{len(s.C)}", t, ()))
    if left(s, "cb", cfg.cbs):  # receivers call back with any token they hold
        for cid, step, exp in s.posted:
            for v in cfg.verdicts:
                t, lab = use(s, "cb"), f"receiver calls back {v} for step {step} of {cid}"
                for a in prechecks(s, cid, step, v, exp, cfg):
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
                f"callbacks reads to C{off}, answers {code} to {v}({step})",
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


def prechecks(s, cid, step, v, exp, cfg):
    """Answers possible before anything is appended (None: append), with the two tails of a replica at any prefix."""
    got = []
    for c in range(len(s.C) + 1):
        for d in range(len(s.D) + 1):
            if any(r[0] == "seal" and r[3] >= d for r in s.C[:c]) and "seal_causal" in cfg.on:
                continue  # it has not read that StepSealed
            answers = precheck(s, cid, step, v, exp, cfg, c, d)
            got += [a for a in answers if a not in got]
    return got


def precheck(s, cid, step, v, exp, cfg, c, d):
    """The rows of design.md section 6, in order, of a replica that has read `callbacks` to c and `deliveries` to d."""
    found = verdict_or_seal(s.C[:c], s.D[:d], cid, step, cfg.on)
    if found:
        return [200 if found[1] == v else 400]
    if not terminals(s.D[:d]).get(cid) and s.now <= exp:
        return [None]
    if "row_end" not in cfg.on:
        return [400]
    ends = range(c, len(s.C) + 1) if cfg.stale else (len(s.C),)
    at_ends = [verdict_or_seal(s.C[:end], s.D, cid, step, cfg.on) for end in ends]
    return [200 if found and found[1] == v else 400 for found in at_ends]


def final_answer(s, cid, step, v, off, on):
    """To a verdict that lies at C[off]: by what lies below it."""
    if "read_own" not in on:
        return 200
    found, t = verdict_or_seal(s.C[: off + 1], s.D, cid, step, on), terminals(s.D).get(cid)
    if "own_400" not in on and t and t[0][1] == "halt":
        return 400
    return 200 if found and found[1] == v else 400


def successors(s, cfg):
    out = []
    env_actions(s, cfg, out)
    for i in range(len(s.ws)):
        if i and s.ws[i] == s.ws[i - 1] == W():
            continue  # symmetric
        worker_actions(s, i, cfg, out)
    return out
