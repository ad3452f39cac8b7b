"""One attempt of one step: what is POSTed, and the event that records what came of it."""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

from hookline.chain.callback_tokens import CallbackToken, callback_path, sign_token
from hookline.chain.decide import Post
from hookline.chain.events import HookAttemptFailed, HookDelivered, ReadTo
from hookline.chain.ids import ChainId, webhook_id
from hookline.chain.keys import KeyRing
from hookline.chain.payloads import payload_json
from hookline.chain.retries import MAX_RETRY_AFTER_S, next_attempt_at
from hookline.chain.state import Chain
from hookline.web.masking import mask_tokens
from services.dispatcher.sender import HookPost, Outcome

__all__ = ["About", "Attempt"]


class About(TypedDict):
    """The fields that every decision has."""

    cause: int
    chain_id: str
    step: int
    read_to: ReadTo
    decided_at: int


class Attempt(NamedTuple):
    """`chain` is as it was when the attempt began; `started_at` Unix ms."""

    chain: Chain
    post: Post
    started_at: int

    @property
    def expires_at(self) -> int:
        """Until when the receiver may call back: in the token, and in HookDelivered."""
        return self.started_at + self.chain.plan.callback_deadline_s * 1000

    def hook_post(self, keys: KeyRing, callback_base_url: str) -> HookPost:
        """The Docker Hub payload, `callback_url` first; the rest is its text as it was packed."""
        chain, step = self.chain, self.post.step
        token = sign_token(keys, CallbackToken(ChainId.parse(chain.id), step, self.expires_at), chain.repository)
        url = callback_base_url + callback_path(chain.repository, token)
        rest = payload_json(chain.payload)[1:]
        body = b'{"callback_url":"%s"%s%s' % (url.encode(), b"" if rest == b"}" else b",", rest)
        hook, is_retry = chain.plan.hooks[step - 1], self.post.attempt > 1
        return HookPost(hook, webhook_id(chain.id, step), body, chain.plan.timeout_s, is_retry)

    def event(
        self, outcome: Outcome, about: About, now: int, random: Callable[[], float]
    ) -> HookDelivered | HookAttemptFailed:
        """What is appended. `now` (Unix ms) and `random` are for the time of the next attempt."""
        # A receiver may answer with the very body that it was sent: no token goes into a topic (I11).
        answer, detail = (None if text is None else mask_tokens(text) for text in (outcome.answer, outcome.detail))
        if outcome.error is None:
            assert outcome.status is not None, "delivered by its status"
            return HookDelivered(
                attempt=self.post.attempt,
                started_at=self.started_at,
                took_ms=outcome.took_ms,
                status=outcome.status,
                answer=answer,
                expires_at=self.expires_at,
                **about,
            )
        asked = None if outcome.retry_after_s is None else min(outcome.retry_after_s, MAX_RETRY_AFTER_S)
        due = next_attempt_at(
            attempt=self.post.attempt,
            error=outcome.error,
            status=outcome.status,
            was_blocked=self.chain.step(self.post.step).was_blocked,
            retry_after_s=asked,
            delays_s=self.chain.plan.retry_delays_s,
            now=now,
            random=random,
        )
        return HookAttemptFailed(
            attempt=self.post.attempt,
            started_at=self.started_at,
            took_ms=outcome.took_ms,
            error=outcome.error,
            detail=detail,
            status=outcome.status,
            answer=answer,
            retry_after_s=asked,
            next_attempt_at=due,
            **about,
        )
