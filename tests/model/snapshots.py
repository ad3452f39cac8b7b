"""Snapshots (`image` here): written in two records, read where the commit says."""


def read_image(s, first, on):
    """(chains, repeats, clock) of the image, or None if it is not there whole."""
    if "named" not in on:  # the newest one that is whole
        ids = [r[0] for r in s.S if r[1] == "close"]
        first = next((o for o, r in enumerate(s.S) if ids and r[0] == ids[-1] and o >= s.base), first)
    if first < s.base or first >= len(s.S):
        return None
    mem = {}
    for r in s.S[first:]:
        if r[0] == s.S[first][0]:
            if r[1] == "close":
                return (tuple(sorted(mem.items())),) + r[2]
            mem.update(dict(r[2]))
    return None


def image(w, i, cfg):
    id_ = (w.tok, w.k) if "image_id" in cfg.on else i
    return ((id_, "part", w.mem), (id_, "close", (w.rep, w.clk)))
