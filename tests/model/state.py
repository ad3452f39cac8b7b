"""Bounds of a scenario, and a state: immutable, with the logs as tuples; an offset is an index.

  P ("push", push, producer's t, broker's t)  X ("cancel", cid) | ("redo", push, poff, n, from_step)
  C (cid, step, verdict, expiry, t) or ("seal", cid, step, offset of the intent in D)
                                             D ("fence", owner) | ("dec", token, cid, kind, step, extra, read_to of C)
  S (image id, "part"|"close", payload)      com (positions, first offset of the image, fence)
kinds: delivered(extra=expires_at) failed(extra=(attempt, last?, gone?)) closing halt(extra=reason) done
"""

from typing import NamedTuple

from tests.model.rules import RULES


class Cfg(NamedTuple):
    """Bounds of one scenario; `on` is the set of rules in force."""

    on: frozenset = frozenset(RULES)
    pushes: int = 1
    plan: int = 1  # chains per push
    steps: int = 1
    expect_final: bool = True
    max_att: int = 1
    deadline: int = 9
    margin: int = 1
    max_time: int = 0
    dup_push: int = 0  # PushReceived appended again
    forget: int = 0  # dedupe window in ticks (0: never over)
    pahead: int = 0  # ingress clocks are ahead by 0..pahead
    bskew: int = 0  # brokers' clocks are behind by 0..bskew
    bahead: int = 0  # a broker's clock may be ahead by that much
    back: int = 0  # a time that far before the largest so far may still be a slow clock's (0: any)
    cancels: int = 0
    redos: int = 0
    redo_from: int = 1
    workers: int = 2
    starts: int = 2  # Fences, both workers together
    crashes: int = 0
    ckpts: int = 0
    trim: bool = False
    rejoin: int = 0  # rebalances that give p back to a worker that keeps memory and token
    misfits: int = 0  # verdicts in the log that name a step which no chain has
    posts: int = 2
    fails: int = 0  # POSTs reported failed (the receiver may have got them all the same)
    gones: int = 0  # POSTs answered 410
    cbs: int = 1  # callbacks made
    verdicts: tuple = ("ok",)
    late: int = 0  # records or commits that land after their sender gave up
    late_kinds: str = "CDSFO"  # which: callbacks, decisions, snapshots, Fence, commit (O)
    soft: bool = False  # a crash may also be a restart within the same group generation
    split_restore: bool = False  # commit fetched and image read are two actions
    split_ends: bool = False  # a restore takes the ends of P and X, later those of C and D
    split_fence: bool = False  # joining the group and the Fence are two actions
    any_order: bool = False  # a restore reads record by record in every order
    stale_readers: bool = False
    stale: bool = False  # every end offset may be one of the past
    forged: int = 0  # StepSealed in the log that name no intent


class Ch(NamedTuple):
    """Folded open chain. Per step: v (verdict, offset), dl deadline, nf failed attempts, closing (reason, offset of the first
    intent), seal (its offset)."""

    frm: int
    v: tuple
    dl: tuple
    nf: tuple
    closing: tuple
    seal: tuple
    cancel: bool = False


class W(NamedTuple):
    """A dispatcher worker."""

    st: str = "off"  # off joined fenced com half restore run stopped
    gen: int = -1  # of the group, as far as it knows
    tok: int = -1
    pos: tuple = (0, 0, 0, 0)
    ends: tuple = (0, 0, 0, 0)
    fin: int = -1  # fence in force at pos
    mem: tuple = ()  # sorted ((cid, Ch), ...): open chains
    rep: tuple = ()  # (push, offset, t) of PushReceived in the window
    clk: int = 0  # largest time in pushes so far
    pend: tuple = ()  # decisions sent, not landed
    busy: tuple = ()  # (cid, kind, step) sent and not read back
    seals: tuple = ()  # without the rule `seal`: (cid, end of callbacks)
    sealing: tuple = ()  # (cid, step) whose StepSealed was sent and not read back
    spend: tuple = ()  # StepSealed sent, not landed
    wrote: tuple = ()  # (cid, step) of intents that it wrote itself
    tasks: tuple = ()  # (cid, step, att, exp) POSTs in flight
    ck: object = None  # image being written: (pos, fin, first offset, records left)
    imgs: tuple = ()  # first offsets of the images it knows to be committed (last two)
    k: int = 0  # images begun


class State(NamedTuple):
    P: tuple = ()
    C: tuple = ()
    X: tuple = ()
    D: tuple = ()
    S: tuple = ()
    base: int = 0  # start of S after trimming
    com: object = None
    gen: int = 0
    ws: tuple = ()
    now: int = 0
    net: tuple = ()  # ("C"|"D"|"S", record) or ("commit", (gen, com)) that may still land
    calls: tuple = ()  # callbacks in progress: (cid, step, verdict, offset)
    answers: tuple = ()  # (cid, step, verdict, offset or None, code)
    posted: tuple = ()  # (cid, step, exp) receivers saw
    n: tuple = ()  # budget used


BUDGET = (
    "dup",
    "cancel",
    "redo",
    "start",
    "crash",
    "ckpt",
    "post",
    "fail",
    "gone",
    "cb",
    "late",
    "push",
    "rejoin",
    "misfit",
    "forged",
)
BI = {k: i for i, k in enumerate(BUDGET)}


def initial(cfg):
    return State(ws=(W(),) * cfg.workers, n=(0,) * len(BUDGET))


def use(s, k):
    return s._replace(n=put(s.n, BI[k], s.n[BI[k]] + 1))


def left(s, k, limit):
    return s.n[BI[k]] < limit


def put(t, i, x):
    return (*t[:i], x, *t[i + 1 :])


def minus(t, x):
    return t[: t.index(x)] + t[t.index(x) + 1 :] if x in t else t


def set_w(s, i, w):
    return s._replace(ws=put(s.ws, i, w))


def logs(s):
    return (s.P, s.C, s.X, s.D)


def lens(s):
    return tuple(map(len, logs(s)))
