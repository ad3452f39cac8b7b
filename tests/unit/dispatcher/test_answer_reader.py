"""What is read of an answer: its status, some headers, the beginning of its body, and whether its connection may be used again."""

from random import Random

import pytest

from services.dispatcher.answer_reader import KEPT_ANSWER, MAX_HEAD, AnswerReader, Oddity
from tests.unit.dispatcher.odd_answers import generated, odd_answers

OK = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, ended: bool = True) -> AnswerReader:
    answer = AnswerReader()
    for piece in pieces:
        answer.feed(piece)
    if ended:
        answer.end()
    return answer


def in_pieces(raw: bytes, random: Random) -> list[bytes]:
    cuts = sorted(random.randint(0, len(raw)) for _ in range(random.choice((0, 1, 3, 20))))
    return [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\nhello", 204, b""),
        (OK + b"X: " + b"a" * 9_000 + b"\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (OK + b"X: " + b"a" * 100_000, 200, b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello", 200, b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", 200, b"hello"),
        (OK + b"Content-Length: 5\r\n\r\nhel", 200, b"hel"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, b"ok"),
        (b"HTTP/1.1 101 Switching\r\n\r\nwhatever", 101, b""),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n!", 503, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None, b""),
        (b"SSH-2.0-OpenSSH\r\n", None, b""),
        (b"", None, b""),
    ],
)  # fmt: skip
def test_a_status_counts_whatever_follows_it(raw: bytes, status: int | None, body: bytes) -> None:
    for pieces in ([raw], [raw[n : n + 1] for n in range(len(raw))]):
        answer = read(*pieces)
        assert (answer.status, answer.body, answer.done) == (status, body, True)


def test_a_status_is_known_before_its_head_has_ended() -> None:
    assert read(b"HTTP/1.1 20", ended=False).status is None
    assert read(b"HTTP/1.1 200", ended=False).status is None, "another digit may come"
    assert read(b"HTTP/1.1 200 O", ended=False).status == 200


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n", Oddity.NOT_HTTP),
        (b"\x15\x03\x03\x00\x02\x02\x46", Oddity.TLS),
        (OK + b"X: " + b"a" * MAX_HEAD, Oddity.HEAD_TOO_LONG),
        (OK + b"Content-Length: five\r\n\r\nhello", Oddity.BAD_FRAMING),
        (OK + b"Transfer-Encoding: gzip\r\n\r\nhello", Oddity.BAD_FRAMING),
    ],
)
def test_what_cannot_become_an_answer_is_not_waited_for(raw: bytes, why: Oddity) -> None:
    answer = read(raw, ended=False)
    assert (answer.done, answer.oddity) == (True, why)


@pytest.mark.parametrize(
    ("raw", "is_reusable"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok", False),
        (OK + b"Connection: foo, Close\r\nContent-Length: 2\r\n\r\nok", False),
        (OK + b"Content-Length: 2\r\n\r\nok!", False),
        (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx", False),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False),
        (OK + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok", False),
    ],
)
def test_a_connection_is_used_again_only_after_an_answer_without_any_doubt(raw: bytes, is_reusable: bool) -> None:
    assert read(raw, ended=False).is_reusable is is_reusable
    assert read(raw, b"x", ended=False).is_reusable is False, "what comes unasked could be taken for the next answer"
    assert read(raw).is_reusable is False, "it has ended"


def test_the_first_kib_of_a_body_is_kept_and_64_kib_are_read() -> None:
    answer = AnswerReader()
    answer.feed(OK + b"\r\n")
    fed = 0
    while not answer.done:
        answer.feed(b"x" * 1_000)
        fed += 1_000
    assert (answer.body, fed, answer.oddity) == (b"x" * KEPT_ANSWER, 66_000, Oddity.BODY_TOO_LONG)


def test_headers_are_read_however_they_are_written() -> None:
    answer = read(b"HTTP/1.1 503 Busy\r\ngarbage\r\nRETRY-AFTER :  7 \r\nKeep-Alive: max=5, timeout=9\r\n\r\n")
    assert (answer.header("retry-after"), answer.keep_alive_s, answer.header("location")) == ("7", 9, None)


def test_20_000_generated_answers_raise_nothing_and_mean_the_same_in_any_pieces() -> None:
    random, with_status = Random(1), 0
    for raw in generated(seed=1, count=20_000):
        whole, cut = read(raw), read(*in_pieces(raw, random))
        assert (whole.status, whole.done) == (cut.status, True)
        assert whole.header("retry-after") == cut.header("retry-after")
        assert len(whole.body) <= KEPT_ANSWER
        with_status += whole.status is not None
    assert 10_000 < with_status < 19_000, "both kinds are among them"


@pytest.mark.parametrize("name", sorted(odd_answers()))
def test_no_odd_answer_is_waited_for_once_its_connection_has_ended(name: str) -> None:
    assert read(odd_answers()[name]).done
