"""A token bucket: what it holds, what it owes, and when there is enough again."""

from hookline.web.token_bucket import TokenBucket


def test_it_holds_no_more_than_its_size_however_long_it_fills() -> None:
    bucket = TokenBucket.full(10, 2, at=100)
    bucket.take(4)

    assert [bucket.fill(now) for now in (101, 102, 1000)] == [8, 10, 10]


def test_what_is_owed_is_filled_first() -> None:
    bucket = TokenBucket.full(10, 2, at=0)
    bucket.take(16)

    assert (bucket.left, bucket.wait_s(), bucket.wait_s(0)) == (-6, 3.5, 3)
    assert bucket.fill(3.5) == 1


def test_no_more_is_owed_than_is_said() -> None:
    bucket = TokenBucket.full(1, 1, at=0)
    for _ in range(9):
        bucket.take(least=-2)

    assert bucket.left == -2


def test_what_is_put_back_does_not_make_it_larger() -> None:
    bucket = TokenBucket.full(3, 1, at=0)
    bucket.take(2)
    bucket.put_back()
    assert bucket.left == 2
    bucket.put_back(5)
    assert bucket.left == 3
