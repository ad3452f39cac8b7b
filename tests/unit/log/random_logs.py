"""Hypothesis: the four logs of a partition as several workers, one of them perhaps a zombie, may have written them."""

from hypothesis import strategies as st

from hookline.chain.events import Verdict
from tests.kit.events import plan
from tests.unit.chain.logs import Logs

__all__ = ["logs"]

WORDS = ("push", "callback", "cancel", "redeliver", "fence", "decide", "decide", "decide")


@st.composite
def logs(draw: st.DrawFn, most: int = 30) -> Logs:
    """Facts lie behind their causes; decisions carry the token of any Fence so far, not only of the last."""
    made = Logs()
    made.fence("w0")
    fences, chains = [0], made.push(plan(2), name="p0")
    for n, word in enumerate(draw(st.lists(st.sampled_from(WORDS), max_size=most)), start=1):
        chain = chains[draw(st.integers(0, len(chains) - 1))]
        match word:
            case "push":
                chains += made.push(plan(2), name=f"p{n}")
            case "callback":
                made.verdict(chain, 1, draw(st.sampled_from(Verdict)))
            case "cancel":
                made.cancel(chain)
            case "redeliver":
                chains.append(made.rerun(chains[0], plan(1)))
            case "fence":
                fences.append(made.fence(f"w{n}"))
            case _:
                made.token = draw(st.sampled_from(fences[-3:]))
                made.delivered(chain, 1)
    return made
