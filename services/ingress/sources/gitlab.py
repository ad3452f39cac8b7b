"""GitLab's container registry, a fork of Distribution: the same envelope, set up in its `notifications`."""

from typing import ClassVar

from services.ingress.sources.distribution import Distribution

__all__ = ["SOURCE", "GitLab"]


class GitLab(Distribution):
    """A project's webhooks have no event for its registry; the registry's own notifications have."""

    name: ClassVar[str] = "gitlab"
    title: ClassVar[str] = "GitLab container registry"
    setup: ClassVar[str] = """\
# /etc/gitlab/gitlab.rb; then: gitlab-ctl reconfigure
registry['notifications'] = [
  {{
    'name' => 'hookline',
    'url' => '{url}',
    'timeout' => '1s',
    'maxretries' => 10,        # after that an event is dropped
    'backoff' => '2s',
    'headers' => {{ 'Authorization' => ['Bearer {token}'] }}
  }}
]
"""


SOURCE = GitLab()
