"""Why an attempt failed, in words.

`AttemptError` says the kind; these words say what a user needs to mend it. They are made of parts that are listed here, and
of a few that come from outside and are bounded and masked where they enter: names and dates of a certificate, the target of
a redirect. Nothing else that a receiver or a library says goes through.
"""

import errno
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urljoin

from hookline.chain.events import AttemptError
from hookline.chain.retries import is_elsewhere
from hookline.web.hook_url import HookUrl
from hookline.web.masking import mask_tokens, mask_url
from services.dispatcher.address_guard import BlockedAddress
from services.dispatcher.answer_reader import MAX_HEAD, AnswerReader, Oddity
from services.dispatcher.certificates import CertificateRefused, refusal_words
from services.dispatcher.dialer import PROXY_PHASES, Phase
from services.dispatcher.resolver import LOOKUP_S, NameFailed
from services.dispatcher.tunnel import ProxyFailed

__all__ = ["Failure", "not_connected", "of_answer", "timed_out", "unanswered"]

MAX_LOCATION = 200
"""Characters of a redirect's target."""

_NO_TLS = "its receiver does not speak TLS on this port: should the URL begin with http://?"
_DNS = {
    None: f"no answer about its host's name within {LOOKUP_S:g} s",
    socket.EAI_NONAME: "there is no host with that name",
    socket.EAI_AGAIN: "the name server does not answer",
    socket.EAI_FAIL: "the name server failed",
    socket.EAI_NODATA: "the name has no address",
    socket.EAI_ADDRFAMILY: "the name has no address of a kind used here",
}
_CONNECT = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ECONNABORTED: "connection aborted",
    errno.EHOSTUNREACH: "no route to its host",
    errno.ENETUNREACH: "its network cannot be reached",
    errno.ETIMEDOUT: "its host did not answer",
    errno.EMFILE: "this dispatcher has too many files open",
    errno.ENFILE: "this machine has too many files open",
    errno.EADDRNOTAVAIL: "this machine has no port left to connect from",
    errno.EACCES: "this machine does not allow it",
    errno.EPERM: "this machine does not allow it",
}
_TLS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": "its receiver speaks only versions of TLS that are too old",
    "TLSV1_ALERT_PROTOCOL_VERSION": "its receiver speaks only versions of TLS that are too old",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "its receiver and we have no cipher in common, or it wants a client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "its receiver wants a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "its receiver has no certificate for that name",
}
_ODD = {
    Oddity.NOT_HTTP: "what came back is not HTTP",
    Oddity.TLS: "its receiver speaks TLS on this port: should the URL begin with https://?",
    Oddity.HEAD_TOO_LONG: f"its answer's head is longer than {MAX_HEAD // 1024} KiB",
    Oddity.BAD_FRAMING: "its answer's length or chunks make no sense",
    Oddity.CUT_SHORT: "its answer was cut short",
}
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress"})


class Failure(NamedTuple):
    """What the event says. `by_proxy`: it is the outgoing proxy's, not the receiver's."""

    error: AttemptError
    detail: str | None
    by_proxy: bool = False


def not_connected(error: Exception, phase: Phase, url: HookUrl) -> Failure:
    """There was no connection to send anything over."""
    if phase in PROXY_PHASES:
        return Failure(AttemptError.CONNECT, f"the outgoing proxy: {_of_proxy(error)}", by_proxy=True)
    match error:
        case NameFailed():
            return Failure(AttemptError.DNS, _no_name(error))
        case BlockedAddress():
            return Failure(AttemptError.BLOCKED, f"{url.host} is {error.address}, which is not a public address")
        case CertificateRefused():
            return Failure(AttemptError.TLS, refusal_words(error, url.server_name))
        case ssl.SSLError():
            return Failure(
                AttemptError.TLS, _TLS.get(error.reason or "", f"the handshake failed ({error.reason or 'no reason'})")
            )
        case OSError() if phase is Phase.TLS:
            return Failure(AttemptError.TLS, "the connection ended during the handshake")
        case OSError():
            return Failure(AttemptError.CONNECT, _no_connection(error))
        case _:
            return Failure(AttemptError.CONNECT, "no connection")


def _of_proxy(error: Exception) -> str:
    match error:
        case ProxyFailed():
            return str(error)
        case NameFailed():
            return _no_name(error)
        case OSError():
            return _no_connection(error)
        case _:
            return "no connection"


def _no_name(error: NameFailed) -> str:
    return _DNS.get(error.code, f"its host's name cannot be resolved (EAI {error.code})")


def _no_connection(error: OSError) -> str:
    code = error.errno or 0
    return _CONNECT.get(code, f"no connection ({errno.errorcode.get(code, 'unknown')})")


def timed_out(phase: Phase, timeout_s: float, answer: AnswerReader | None) -> Failure:
    """No status within the time that the pipeline gives."""
    if answer is not None and answer.began:
        return Failure(AttemptError.TIMEOUT, f"no status of its answer within {timeout_s:g} s, only the beginning")
    return Failure(AttemptError.TIMEOUT, f"waited {timeout_s:g} s for {phase}", phase in PROXY_PHASES)


def unanswered(answer: AnswerReader, error: Exception | None, url: HookUrl) -> Failure:
    """The request was sent, and no status came."""
    if answer.began:
        return Failure(AttemptError.BROKEN, _ODD.get(answer.oddity) if answer.oddity is not None else None)
    if isinstance(error, ssl.SSLError):
        return Failure(AttemptError.TLS, _TLS.get(error.reason or "", "the connection ended with a TLS alert"))
    how = "reset" if isinstance(error, ConnectionError) else "closed"
    # OpenSSL closes without an alert where it is spoken to in plain HTTP.
    hint = (
        "" if url.scheme == "https" else "; if its receiver speaks TLS on this port, the URL must begin with https://"
    )
    return Failure(AttemptError.BROKEN, f"the connection was {how} before any answer came{hint}")


def of_answer(answer: AnswerReader, url: HookUrl) -> str | None:
    """What there is to say of an answer with a status that is no delivery, beyond that status."""
    if answer.status is not None and is_elsewhere(answer.status):
        return _redirected(answer.header("location"), url)
    coding = (answer.header("content-encoding") or "identity").lower()
    if coding != "identity":
        return (
            f"its body is compressed ({coding if coding in _CODINGS else 'in an unknown way'}), which was not asked for"
        )
    return _ODD.get(answer.oddity) if answer.oddity is not None else None


def _redirected(location: str | None, url: HookUrl) -> str:
    """Where to: masked as pages mask it, since the event is shown."""
    try:
        target = mask_tokens(mask_url(urljoin(url.text, location or "")))
    except ValueError:
        target = ""
    if not location or not target.isascii() or not target.isprintable() or len(target) > MAX_LOCATION:
        return "redirects are not followed: set the hook's URL to where its receiver is now"
    return f"redirects are not followed: set the hook's URL to {target}"
