"""A dispatcher's worker: takes the partition, restores, reads, decides, POSTs, takes snapshots, commits, trims."""

from tests.model.checks import compare, post_checks
from tests.model.folding import UNCAUSED, Mem, decide, last_fence, ready
from tests.model.snapshots import image, read_image
from tests.model.state import W, left, lens, logs, minus, put, set_w, use


def worker_actions(s, i, cfg, out):
    w, on, name = s.ws[i], cfg.on, f"w{i}"
    if w.st in ("off", "joined"):
        if w.st == "off" and left(s, "start", cfg.starts):
            if w.gen < 0 or w.gen != s.gen:  # joins the group
                j = set_w(use(s, "start")._replace(gen=s.gen + 1), i, W(st="joined", gen=s.gen + 1, ends=lens(s)))
                if cfg.split_fence:
                    out.append((f"{name} joins: generation {j.gen}", j, ()))
                else:
                    fence(j, i, cfg, out, "takes p: ")
            if w.gen >= 0:  # still the owner, or believes so
                fence(use(s, "start"), i, cfg, out, "restarts p in its generation: ")
        elif w.st == "joined":
            fence(s, i, cfg, out, "")
        return
    if w.st == "stopped":
        return
    late = cfg.late and left(s, "late", cfg.late)
    if left(s, "crash", cfg.crashes):
        t = use(s, "crash")
        for soft in (False, True)[: 1 + cfg.soft]:
            gone = W(gen=w.gen) if soft else W()
            word = "drops memory and producer" if soft else "crashes"
            out.append((f"{name} {word}", set_w(t, i, gone), ()))
            if late and w.pend and "D" in cfg.late_kinds:
                out.append(
                    (
                        f"{name} {word}; its {w.pend[0][3]} is still on its way",
                        set_w(use(t, "late")._replace(net=(*t.net, ("D", w.pend[0]))), i, gone),
                        (),
                    )
                )
            if late and w.spend and "Z" in cfg.late_kinds:
                out.append(
                    (
                        f"{name} {word}; its StepSealed is still on its way",
                        set_w(use(t, "late")._replace(net=(*t.net, ("C", w.spend[0]))), i, gone),
                        (),
                    )
                )
            if late and w.ck and w.ck[3] and "S" in cfg.late_kinds:
                out.append(
                    (
                        f"{name} {word}; an image record is still on its way",
                        set_w(use(t, "late")._replace(net=(*t.net, ("S", w.ck[3][0]))), i, gone),
                        (),
                    )
                )
    if w.st == "fenced":
        pos, img, fin = s.com or ((0, 0, 0, 0), None, -1)
        if fin > w.tok and "com_fence" in on:
            out.append(
                (f"{name} finds fence {fin} above its own {w.tok} in the commit: ends", set_w(s, i, W(gen=w.gen)), ())
            )
        else:
            w = w._replace(st="com", pos=pos, fin=fin, imgs=() if img is None else (img,))
            if cfg.split_restore:
                out.append(
                    (f"{name} fetches the commit: positions {pos}, image {img}, fence {fin}", set_w(s, i, w), ())
                )
        if cfg.split_restore or w.st == "fenced":
            return
    if w.st in ("com", "half"):
        if w.st == "com":
            if w.imgs:
                got = read_image(s, w.imgs[0], on)
                if got is None:
                    rightful = w.gen == s.gen and s.com and s.com[1] == w.imgs[0]
                    out.append(
                        (
                            f"{name}: image {w.imgs[0]} is not there whole: ends",
                            set_w(s, i, W(gen=w.gen)),
                            (
                                (
                                    "I6-lost",
                                    f"the commit names image {w.imgs[0]}, it is not there whole (S starts at {s.base})",
                                ),
                            )
                            if rightful
                            else (),
                        )
                    )
                    return
                w = w._replace(mem=got[0], rep=got[1], clk=got[2])
            e = lens(s)
            w = w._replace(ends=w.ends if "ends_after" not in on else (e[0], 0, e[2], 0), st="half")
            if cfg.split_ends:
                out.append((f"{name} reads its image, takes the ends of P {e[0]} and X {e[2]}", set_w(s, i, w), ()))
                return
        told = [w.ends]
        if "ends_after" in on:
            told = [(w.ends[0], len(s.C), w.ends[2], len(s.D))]
        if cfg.stale:
            told += stale_ends(w, told[0])
        for ends in told:
            if "fence_end" in on:
                ends = put(ends, 3, max(ends[3], w.tok + 1))
            restore(s, i, w._replace(ends=ends, st="restore"), cfg, out)
        return
    # ---- read one record of one topic
    moved = False
    for k in range(4):
        if may_read(s, w, k, cfg):
            moved = True
            out.append(read_one(s, i, w, k, cfg))
    if w.st == "restore":
        if done_restoring(w):
            w = w._replace(st="run")
            out.append((f"{name} RUNNING", set_w(s, i, w), compare(s, w, cfg) + behind(s, w)))
        elif not moved:
            out.append((f"{name} waits", s, (("I8-restore", f"the restore can never end: at {w.pos}, ends {w.ends}"),)))
        return
    run_actions(s, i, w, cfg, out, late)


def stale_ends(w, ends):
    """What a deposed leader of one log says, or of all."""
    each = [put(ends, k, old) for k in range(4) for old in range(w.pos[k], ends[k])]
    return [*each, w.pos]


def behind(s, w):
    """A worker that runs has read what the workers before it decided."""
    return () if w.pos[3] > w.tok else (("I10-behind", f"it runs at D{w.pos[3]}, below its own Fence at D{w.tok}"),)


def restore(s, i, w, cfg, out):
    """Fold to those ends: at once, or (any_order) record by record."""
    name = f"w{i}"
    t, viol = set_w(s, i, w), ()
    while t.ws[i].st == "restore" and not cfg.any_order:
        w = t.ws[i]
        k = next((k for k in (0, 2, 1, 3) if may_read(s, w, k, cfg)), None)
        if k is None:
            if done_restoring(w):
                w = w._replace(st="run")
                t, viol = set_w(t, i, w), compare(s, w, cfg) + behind(s, w)
            else:
                viol = (("I8-restore", f"the restore can never end: at {w.pos}, ends {w.ends}"),)
            break
        _, t, viol = read_one(t, i, w, k, cfg)
    what = f"fetches the commit (image {w.imgs[0] if w.imgs else None}), " if s.ws[i].st == "fenced" else ""
    out.append((f"{name} {what}takes the ends {w.ends}, folds to them: {t.ws[i].st.upper()}", t, viol))


def fence(s, i, cfg, out, why):
    w = s.ws[i]
    ends = w.ends if w.st == "joined" else lens(s)  # used only where the ends are taken before the Fence
    out.append(
        (
            f"w{i} {why}Fence lands at D{len(s.D)}",
            set_w(s._replace(D=(*s.D, ("fence", i))), i, w._replace(st="fenced", tok=len(s.D), ends=ends)),
            (),
        )
    )
    if cfg.late and "F" in cfg.late_kinds and left(s, "late", cfg.late):
        out.append(
            (
                f"w{i} {why}sends Fence, no answer: gives up, it is still on its way",
                set_w(use(s, "late")._replace(net=(*s.net, ("D", ("fence", i)))), i, W(gen=w.gen)),
                (),
            )
        )


def may_read(s, w, k, cfg):
    log, o = logs(s)[k], w.pos[k]
    if o >= len(log):
        return False
    if w.st == "restore" and o >= w.ends[k] and not ("past_ends" in cfg.on and k != 1 and needed(s, w, k, cfg)):
        return False
    return ready(w.pos, k, log[o], cfg.on)


def needed(s, w, k, cfg):
    """Does a cursor that is not at its end wait for a cause in topic k?"""
    return any(w.pos[t] < w.ends[t] and not ready(w.pos, t, logs(s)[t][w.pos[t]], cfg.on) for t in (1, 2, 3) if t != k)


def done_restoring(w):
    return all(p >= e for p, e in zip(w.pos, w.ends, strict=True))


def read_one(s, i, w, k, cfg):
    on, o = cfg.on, w.pos[k]
    rec, nm = logs(s)[k][o], "PCXD"[k]
    w2, label = w._replace(pos=put(w.pos, k, o + 1)), f"w{i} reads {nm}{o}"
    m = Mem(cfg, w.mem, w.rep, w.clk, now=s.now)
    if nm == "C" and rec[0] != "seal" and rec[1] > cfg.steps and "misfit" not in on:
        return (label + ": no such step: stops", set_w(s, i, w._replace(st="stopped")), ())
    if nm != "D":
        getattr(m, nm)(o, rec)
    elif rec[0] == "fence":
        if o > w.tok and (rec[1] != i or "any_fence" in on):
            return (label + f": a fence above mine ({w.tok}): ends", set_w(s, i, W(gen=w.gen)), ())
        w2 = w2._replace(fin=o)
    else:
        if rec[1] == w2.fin:
            m.D(o, rec)
            if w.st == "run" and (rec[3] == "closing" or (rec[3] == "failed" and rec[5][1])):
                if "seal" not in on:
                    w2 = w2._replace(seals=(*w2.seals, (rec[2], w2.pos[1] if cfg.stale else len(s.C))))
                if rec[1] == w.tok and "seal_again" not in on:
                    w2 = w2._replace(wrote=(*w2.wrote, (rec[2], rec[4])))
        if rec[1] == w.tok:
            w2 = w2._replace(busy=minus(w2.busy, rec[2:5]))
    if nm == "C" and rec[0] == "seal":
        w2 = w2._replace(sealing=minus(w2.sealing, rec[1:3]))
    mem = m.freeze()
    opened = {c for c, _ in mem}
    w2 = w2._replace(
        mem=mem,
        rep=m.rep,
        clk=m.clk,
        seals=tuple((c, e) for c, e in w2.seals if c in opened and w2.pos[1] < e),
        sealing=tuple(x for x in w2.sealing if x[0] in opened),
        wrote=tuple(x for x in w2.wrote if x[0] in opened),
    )
    return (label, set_w(s, i, w2), compare(s, w2, cfg) if w2.st == "run" and "read_back" in on else ())


def send(s, i, w, decs, cid, out, label):
    recs = tuple(("dec", w.tok, cid, kind, step, extra, w.pos[1]) for kind, step, extra in decs)
    w2 = w._replace(pend=w.pend + recs, busy=tuple(sorted(w.busy + tuple(r[2:5] for r in recs))))
    out.append((f"{label} sends {[d[0] + '(' + str(d[1]) + ')' for d in decs]}", set_w(s, i, w2), ()))


def run_actions(s, i, w, cfg, out, late):
    on, name = cfg.on, f"w{i}"
    if w.pend:  # decisions sent before land in order
        rec = w.pend[0]
        w2 = w._replace(pend=w.pend[1:])
        if "read_back" not in on:
            m = Mem(cfg, w2.mem, w2.rep, w2.clk)
            m.D(len(s.D), rec)
            w2 = w2._replace(mem=m.freeze(), busy=minus(w2.busy, rec[2:5]))
        out.append(
            (
                f"{name}: {rec[3]}({rec[4]}) {rec[5] or ''} lands at D{len(s.D)}"
                + ("" if rec[1] == last_fence(s.D) else "  [void: fenced]"),
                set_w(s._replace(D=(*s.D, rec)), i, w2),
                (),
            )
        )
    if w.spend:
        rec = w.spend[0]
        w2 = w._replace(spend=w.spend[1:])
        t, label = s._replace(C=(*s.C, rec)), f"{name}: StepSealed({rec[2]}) lands at C{len(s.C)}"
        ch = dict(w.mem).get(rec[1])
        if "seal_read" in on or ch is None or not ch.closing[rec[2] - 1]:
            out.append((label, set_w(t, i, w2), ()))
        else:
            send(t, i, w2, (("halt", rec[2], ch.closing[rec[2] - 1][0]),), rec[1], out, label + f"; {name}")
    for task in w.tasks:  # answers of receivers
        cid, step, att, exp = task
        w2 = w._replace(tasks=minus(w.tasks, task))
        send(s, i, w2, (("delivered", step, exp),), cid, out, f"{name}: POST step {step} answered 2xx;")
        last = att >= cfg.max_att
        if left(s, "fail", cfg.fails):
            send(
                use(s, "fail"),
                i,
                w2,
                (("failed", step, (att, last, False)),),
                cid,
                out,
                f"{name}: POST step {step} attempt {att} fails;",
            )
        if left(s, "gone", cfg.gones):
            send(
                use(s, "gone"),
                i,
                w2,
                (("failed", step, (att, True, True)),),
                cid,
                out,
                f"{name}: POST step {step} answered 410;",
            )
    for cid, ch in w.mem:
        a = decide(ch, s.now, cfg)
        if a[0] == "wait":
            continue
        k = a[1] if a[0] in ("post", "seal") else a[2]
        mine = [b for b in w.busy if b[0] == cid]
        if "busy" in on:
            if any(b[1] in ("halt", "done", "closing") or b[2] == k for b in mine):
                continue
            if any(
                b[1] == "failed" and any(r[2] == cid and r[3] == "failed" and r[5][1] for r in w.pend) for b in mine
            ):
                continue  # a closing decision of an earlier step
        elif any(b[1:] == (a[1], k) for b in mine) or len(w.pend) > 1:
            continue
        if a[0] == "post":
            if any(x[0] == cid and x[1] == k for x in w.tasks) or not left(s, "post", cfg.posts):
                continue
            exp, t = s.now + cfg.deadline, use(s, "post")
            p = (cid, k, exp)
            t = t._replace(posted=t.posted if p in t.posted else (*t.posted, p))
            out.append(
                (
                    f"{name} POSTs step {k} (attempt {a[2]}) of {cid}",
                    set_w(t, i, w._replace(tasks=(*w.tasks, (cid, k, a[2], exp)))),
                    post_checks(s, w, cid, k, cfg),
                )
            )
            continue
        if a[0] == "seal":
            if (cid, k) not in w.sealing and ("seal_again" in on or (cid, k) in w.wrote):
                w2 = w._replace(spend=(*w.spend, ("seal", cid, k, a[2])), sealing=(*w.sealing, (cid, k)))
                out.append((f"{name} sends StepSealed({k}) for the intent at D{a[2]}", set_w(s, i, w2), ()))
            continue
        _, kind, k, reason = a
        if reason in UNCAUSED:
            if not ch.closing[k - 1]:
                send(s, i, w, (("closing", k, None),), cid, out, f"{name} decides")
                continue
            if any(c == cid and w.pos[1] < e for c, e in w.seals):
                continue  # callbacks not read to the end yet
        send(s, i, w, ((kind, k, reason),), cid, out, f"{name} decides")
    # ---- images
    if w.ck is None and left(s, "ckpt", cfg.ckpts):
        w2 = w._replace(k=w.k + 1)
        out.append(
            (
                f"{name} takes an image at {w.pos}",
                set_w(use(s, "ckpt"), i, w2._replace(ck=(w.pos, w.fin, None, image(w2, i, cfg)))),
                (),
            )
        )
    elif w.ck:
        pos, fin, first, recs = w.ck
        if recs:
            ck = (pos, fin, len(s.S) if first is None else first, recs[1:])
            out.append(
                (
                    f"{name} writes image record '{recs[0][1]}' at S{len(s.S)}",
                    set_w(s._replace(S=(*s.S, recs[0])), i, w._replace(ck=ck)),
                    (),
                )
            )
        if not recs or ("whole" not in on and first is not None):
            c = (pos, first, fin) if "cut" in on else (w.pos, first, w.fin)
            if w.gen == s.gen or "gen" not in on:
                imgs = ((*w.imgs, first))[-2:]
                w2 = w._replace(imgs=imgs, ck=None if not recs else (pos, fin, first, recs))
                if s.com != c:
                    out.append(
                        (
                            f"{name} commits positions {c[0]}, image {c[1]}, fence {c[2]}",
                            set_w(s._replace(com=c), i, w2),
                            (),
                        )
                    )
            else:
                out.append((f"{name}'s commit is refused: ends", set_w(s, i, W(gen=w.gen)), ()))
            if late and "O" in cfg.late_kinds:
                t = use(s, "late")._replace(net=(*s.net, ("commit", (w.gen, c))))
                if "leave" in on:
                    t = t._replace(gen=t.gen + (w.gen == s.gen))
                out.append(
                    (
                        f"{name} commits image {c[1]}, no answer: drops memory; the request is still on its way",
                        set_w(t, i, W() if "leave" in on else W(gen=w.gen)),
                        (),
                    )
                )
    if cfg.trim:
        keep = w.imgs[-1:] if "keep_two" not in on else w.imgs[:1] if len(w.imgs) > 1 else ()
        if keep and s.base < keep[0]:
            out.append((f"{name} deletes the records before S{keep[0]}", s._replace(base=keep[0]), ()))
