"""Scenarios: name -> (what, bounds with everything on, the flags that are turned off one at a time)."""

from tests.model.state import Cfg

B = Cfg()

SCENARIOS = {
    # ---- images, commits, restore
    "image": (
        "zombie's image and the owner's interleave, crashes",
        B._replace(starts=3, ckpts=2, posts=0, cbs=0),
        ("whole", "named"),
    ),
    "image-1w": (
        "one worker: the chain moves on while its image is written, two restarts",
        B._replace(workers=1, starts=3, crashes=2, ckpts=2, posts=1, cbs=0),
        ("cut", "whole"),
    ),
    "image-1w-cb": (
        "the same with a callback, one restart",
        B._replace(workers=1, starts=2, crashes=1, ckpts=1, posts=1, cbs=1),
        ("cut",),
    ),
    "image-late": (
        "a record of a given-up image lands within the next one",
        B._replace(workers=1, starts=3, crashes=2, ckpts=2, posts=1, cbs=0, late=1, late_kinds="S"),
        ("image_id",),
    ),
    "image-gen": (
        "a zombie commits after the new owner, which trims",
        B._replace(starts=3, ckpts=3, trim=True, pushes=0, posts=0, cbs=0),
        ("gen",),
    ),
    "image-trim": (
        "trimming while another worker restores",
        B._replace(starts=3, ckpts=3, trim=True, pushes=0, posts=0, cbs=0, split_restore=True),
        ("keep_two",),
    ),
    "commit-late": (
        "a commit without an answer lands after newer ones and a trim",
        B._replace(
            workers=1,
            starts=3,
            crashes=1,
            soft=True,
            ckpts=4,
            trim=True,
            pushes=0,
            posts=0,
            cbs=0,
            late=1,
            late_kinds="O",
        ),
        ("leave", "keep_two"),
    ),
    "commit-late2": (
        "the same with a second worker, fewer images",
        B._replace(starts=3, ckpts=3, trim=True, pushes=0, posts=0, cbs=0, late=1, late_kinds="O"),
        ("leave", "keep_two"),
    ),
    "rejoin": (
        "a worker keeps memory and token over a rebalance in which another one had p",
        B._replace(starts=3, ckpts=2, trim=True, posts=0, cbs=0, rejoin=1),
        (),
    ),
    "com-fence": (
        "a slow restore skips the fence that should stop it: it lies below the committed position",
        B._replace(ckpts=1, posts=1, cbs=0, split_restore=True),
        ("com_fence",),
    ),
    "ends": ("ends taken before the Fence", B._replace(starts=2, posts=2, cbs=1, split_fence=True), ("ends_after",)),
    "ends-split": (
        "the four ends are not taken at one instant",
        B._replace(starts=2, posts=1, cbs=1, redos=1, split_ends=True),
        ("past_ends",),
    ),
    "order": (
        "every order of restore reads, crash, cancel, failed POST",
        B._replace(workers=1, starts=2, crashes=1, posts=2, cbs=1, fails=1, cancels=1, any_order=True, split_ends=True),
        ("causal",),
    ),
    "ack-fold": (
        "decisions folded at their ack reach an image though void",
        B._replace(starts=3, ckpts=1, posts=1, cbs=0),
        ("read_back",),
    ),
    # ---- fences
    "fence-late": (
        "a Fence that got no answer lands after the next one",
        B._replace(workers=1, starts=3, posts=1, cbs=0, late=1, late_kinds="F"),
        ("any_fence",),
    ),
    "fence-inverted": (
        "the older member's Fence lands after the younger's",
        B._replace(starts=3, ckpts=1, posts=1, cbs=0, split_fence=True),
        (),
    ),
    "midlog": (
        "readers that start anywhere in deliveries",
        B._replace(starts=3, posts=2, cbs=0, stale_readers=True),
        ("midlog",),
    ),
    # ---- the chain
    "causal": (
        "facts before their cause, running worker and restore",
        B._replace(workers=1, starts=2, crashes=1, ckpts=1, posts=1, cbs=1, cancels=1),
        ("causal",),
    ),
    "causal-2": (
        "the same with two workers: a zombie's POST, callback, cancel",
        B._replace(starts=2, posts=1, cbs=1, cancels=1),
        ("causal",),
    ),
    "busy": (
        "a second decision while the first is on its way",
        B._replace(steps=2, workers=1, starts=1, posts=2, cbs=1, cancels=1),
        ("busy",),
    ),
    "two-steps": ("two steps, zombie, callbacks", B._replace(steps=2, starts=2, posts=2, cbs=1), ()),
    "two-steps-1w": (
        "two steps, one worker, crash, contradicting callbacks, failed POST, cancel",
        B._replace(steps=2, workers=1, starts=2, crashes=1, posts=2, cbs=2, verdicts=("ok", "bad"), fails=1, cancels=1),
        (),
    ),
    "over": (
        "cancelled, then the POST that was still open fails for the last time; the receiver repeats its callback",
        B._replace(workers=1, starts=1, posts=1, cbs=2, fails=1, cancels=1),
        (),
    ),
    "misfit": (
        "a verdict that names a step its chain does not have, a callback, a restart",
        B._replace(workers=1, starts=2, crashes=1, posts=2, cbs=1, misfits=1),
        ("misfit",),
    ),
    "two-chains": (
        "two chains of one push, one ends, image, crash",
        B._replace(plan=2, workers=1, starts=2, crashes=1, ckpts=1, posts=2, cbs=1),
        (),
    ),
    "final": (
        "expect_final_callback false, early failure of the last step",
        B._replace(workers=1, starts=1, posts=1, cbs=1, fails=1, verdicts=("bad", "ok"), expect_final=False),
        ("final",),
    ),
    "redo": (
        "two RedeliveryRequested; the first run may have ended; crash, image",
        B._replace(workers=1, starts=2, crashes=1, ckpts=1, posts=1, cbs=1, redos=1),
        ("run_plus",),
    ),
    "redo-2": (
        "two runs from step 2 beside the first run",
        B._replace(steps=2, workers=1, starts=1, posts=2, cbs=1, redos=2, redo_from=2),
        (),
    ),
    # ---- repeats
    "repeat": (
        "a repeat within and after the window, crash, image",
        B._replace(
            workers=1, starts=2, crashes=1, ckpts=1, posts=1, cbs=0, dup_push=1, forget=1, max_time=2, deadline=9
        ),
        ("event_time",),
    ),
    "repeat-id": (
        "a repeat after the window starts a new chain",
        B._replace(workers=1, starts=1, posts=2, cbs=2, dup_push=1, forget=1, max_time=2, verdicts=("ok",)),
        ("offset_id",),
    ),
    "repeat-clock": (
        "two brokers whose clocks differ, table pruned",
        B._replace(workers=1, starts=1, posts=0, cbs=0, pushes=2, dup_push=2, forget=1, max_time=3, bskew=1),
        ("push_clock",),
    ),
    "repeat-wrong": (
        "an ingress whose clock was ahead once",
        B._replace(workers=1, starts=1, posts=0, cbs=0, dup_push=2, forget=1, max_time=3, pahead=3),
        ("broker_time",),
    ),
    "repeat-series": (
        "pushes closer together than their window, table pruned",
        B._replace(workers=1, starts=1, posts=0, cbs=0, dup_push=2, forget=1, max_time=3),
        ("first_window",),
    ),
    "repeat-broker": (
        "a broker whose clock was ahead once",
        B._replace(workers=1, starts=1, posts=0, cbs=0, dup_push=2, forget=1, max_time=4, bahead=3, back=1),
        ("clock_back",),
    ),
    # ---- a 200 counts
    "halt-race": (
        "delivery_failed against callbacks; repeats at replicas with stale tails",
        B._replace(workers=1, starts=1, posts=1, cbs=2, fails=1),
        ("seal", "row_end"),
    ),
    "timeout-race": (
        "timeout against callbacks",
        B._replace(workers=1, starts=1, posts=1, cbs=2, deadline=1, margin=1, max_time=2),
        ("row_end",),
    ),
    "late-token": (
        "a zombie's POST carries a later expiry than the deadline in the log",
        B._replace(starts=2, posts=2, cbs=1, deadline=1, margin=0, max_time=2),
        ("seal",),
    ),
    "late-event": (
        "POST of step 1 still open while step 2 is sealed",
        B._replace(steps=2, workers=1, starts=1, posts=2, cbs=2, fails=1),
        (),
    ),
    "gone": ("410 against callbacks", B._replace(workers=1, starts=1, posts=1, cbs=1, gones=1), ("seal",)),
    "own-400": (
        "the verdict that halts the chain",
        B._replace(workers=1, starts=1, posts=1, cbs=2, verdicts=("bad", "ok")),
        ("own_400",),
    ),
    "intent-503": (
        "success read, then the POST fails for the last time: an intent that is none",
        B._replace(steps=2, workers=1, starts=1, posts=2, cbs=1, fails=1),
        (),
    ),
    "seal-stale": (
        "delivery_failed against contradicting callbacks, every end offset possibly stale",
        B._replace(workers=1, starts=1, posts=1, cbs=2, fails=1, verdicts=("ok", "bad"), stale=True),
        ("seal", "seal_read", "seal_final", "read_own"),
    ),
    "seal-stale-timeout": (
        "timeout against callbacks, restart, every end offset possibly stale",
        B._replace(workers=1, starts=2, crashes=1, posts=2, cbs=2, deadline=1, margin=0, max_time=1, stale=True),
        ("seal", "seal_read", "seal_final"),
    ),
    "seal-stale-zombie": (
        "zombie, failed POSTs, callbacks, every end offset possibly stale",
        B._replace(starts=2, posts=2, cbs=1, fails=1, stale=True),
        ("seal", "seal_final", "fence_end"),
    ),
    "seal-again": (
        "crash between an intent and its StepSealed, or between that and the halt",
        B._replace(workers=1, starts=2, crashes=1, posts=1, cbs=0, fails=1, stale=True),
        ("seal_again",),
    ),
    "seal-forged": (
        "a StepSealed of somebody else, which names no intent",
        B._replace(workers=1, starts=1, posts=1, cbs=1, fails=1, forged=1),
        ("seal_intent",),
    ),
    "seal-causal": (
        "every order of reading a StepSealed and its intent, restart, snapshot",
        B._replace(workers=1, starts=2, crashes=1, ckpts=1, posts=1, cbs=1, fails=1, any_order=True),
        ("seal_causal",),
    ),
    "seal-sent-late": (
        "a StepSealed lands after its sender gave up",
        B._replace(workers=1, starts=2, crashes=1, posts=1, cbs=1, fails=1, late=1, late_kinds="CZ", stale=True),
        ("seal_final",),
    ),
    "fence-end": (
        "a restore is told old ends of all logs",
        B._replace(starts=2, posts=2, cbs=1, stale=True),
        ("fence_end",),
    ),
    "replicas": (
        "three contradicting callbacks on replicas with stale tails, one worker, cancel",
        B._replace(workers=1, starts=1, posts=1, cbs=3, verdicts=("ok", "bad"), cancels=1),
        (),
    ),
    "replicas-seal": (
        "contradicting callbacks against a sealed halt, crash",
        B._replace(workers=1, starts=2, crashes=1, posts=2, cbs=2, verdicts=("ok", "bad"), fails=1),
        (),
    ),
    "seal-late": (
        "intent, halt, callback or Fence land after their sender gave up; crash",
        B._replace(workers=1, starts=3, crashes=1, posts=2, cbs=2, fails=1, late=1, late_kinds="CDFZ"),
        (),
    ),
    "seal-zombie": ("zombie, failed POSTs, callbacks", B._replace(starts=2, posts=2, cbs=1, fails=2), ()),
    "seal-zombie-2cb": ("the same with two callbacks and one POST", B._replace(starts=2, posts=1, cbs=2, fails=1), ()),
    "seal-timeout-zombie": (
        "zombie, timeout, callback, repeat",
        B._replace(starts=2, posts=1, cbs=1, deadline=1, margin=0, max_time=1),
        (),
    ),
    "seal-cancel": (
        "cancel against a sealed halt and callbacks, one restart",
        B._replace(workers=1, starts=2, crashes=1, posts=1, cbs=2, fails=1, cancels=1),
        (),
    ),
    "retries": (
        "two attempts, failed POSTs, callback, crash",
        B._replace(workers=1, starts=2, crashes=1, max_att=2, posts=3, cbs=1, fails=2),
        (),
    ),
}

# everything on, wide bounds: random walks
WIDE = B._replace(
    steps=2,
    starts=6,
    crashes=4,
    ckpts=6,
    trim=True,
    rejoin=1,
    posts=12,
    cbs=6,
    fails=3,
    gones=1,
    cancels=1,
    verdicts=("ok", "bad"),
    dup_push=2,
    late=3,
    max_att=2,
    deadline=4,
    margin=1,
    max_time=8,
    stale_readers=True,
    split_ends=True,
    split_fence=True,
)
WALKS = {
    "wide": WIDE._replace(soft=True, split_restore=True),
    "wide-order": WIDE._replace(any_order=True),
    "wide-2chains": WIDE._replace(plan=2, cancels=2),
    "wide-2pushes": WIDE._replace(pushes=2, forget=2, bskew=2),
    "wide-redo": WIDE._replace(redos=2, redo_from=2),
    "wide-nofinal": WIDE._replace(expect_final=False),
}

SMALL = (
    "image", "image-1w", "image-1w-cb", "image-late", "image-gen", "image-trim", "commit-late", "com-fence", "order",
    "ack-fold", "fence-late", "midlog", "busy", "two-steps", "over", "final", "halt-race", "gone", "own-400", "intent-503",
    "retries", "misfit", "seal-stale", "seal-again", "seal-forged", "repeat-wrong", "repeat-series",
)  # fmt: skip
"""What `--check` runs: below 10,000 states each."""

NOT_SHOWN = {("image-trim", "keep_two"), ("commit-late", "keep_two")}
"""No bound here shows that it is needed: with every other rule on, keeping the last snapshot alone is enough. It is slack."""
