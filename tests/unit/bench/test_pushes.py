import json

import pytest

from bench.pushes import number_of, requests


def test_pushes_are_distinct_and_known_by_their_number() -> None:
    made = requests(range(10, 14), 28_000, ("app0", "app1"))
    bodies = [request.partition(b"\r\n\r\n")[2] for request in made]
    assert [number_of(body) for body in bodies] == [10, 11, 12, 13]
    assert all(1_900 < len(body) < 2_300 for body in bodies)
    assert [json.loads(body)["repository"]["repo_name"] for body in bodies] == ["bench/app0", "bench/app1"] * 2
    assert number_of(json.dumps(json.loads(bodies[0]), separators=(",", ":")).encode()) == 10
    with pytest.raises(ValueError, match="without a tag"):
        number_of(b"{}")
