"""Pushes to send: distinct Docker Hub bodies of about 2 KB, as requests made beforehand, so that a generator only writes."""

import json
import random
import re
import string

__all__ = ["TOKEN", "a_payload", "number_of", "requests"]

TOKEN = "bench-token-of-ours"
NOUNS = ("image", "layer", "registry", "build", "release", "container", "service", "pipeline", "commit", "branch")
TAG = re.compile(rb'"tag": ?"v(\d+)"')


def a_payload(number: int, draw: random.Random, name: str = "app") -> dict[str, object]:
    """A Docker Hub body of about 2 KB, no two alike: half prose, an eighth of it noise. Its tag is `v<number>`."""
    prose = " ".join(draw.choices(NOUNS, k=172))
    noise = "".join(draw.choices(string.ascii_letters + string.digits, k=250))
    return {
        "push_data": {"pushed_at": 1_700_000_000 + number, "pusher": "bench", "tag": f"v{number}", "images": [noise[:64], noise[64:128]]},
        "repository": {
            "status": "Active", "namespace": "bench", "name": name, "repo_name": f"bench/{name}", "owner": "bench",
            "repo_url": f"https://hub.docker.com/r/bench/{name}", "description": noise[128:], "full_description": prose,
            "dockerfile": "FROM scratch\nCOPY app /app\n", "star_count": number, "comment_count": 0, "is_private": False,
            "is_trusted": False, "is_official": False, "date_created": 1_600_000_000,
        },
    }  # fmt: skip


def number_of(body: bytes) -> int:
    """Which push a hook's body is of. Raises ValueError where it is of none."""
    found = TAG.search(body)
    if found is None:
        raise ValueError("a hook without a tag of ours")
    return int(found[1])


def requests(numbers: range, port: int, names: tuple[str, ...] = ("app",)) -> list[bytes]:
    """HTTP requests to an ingress on that port, its repositories in turn."""
    draw = random.Random(numbers.start)
    made = []
    for number in numbers:
        body = json.dumps(a_payload(number, draw, names[number % len(names)])).encode()
        head = (
            f"POST /events/dockerhub HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made
