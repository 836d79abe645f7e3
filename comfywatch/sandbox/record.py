"""What the sandbox saw and did, for assertions; it outlives restarts. Lists are only appended to, from one thread."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One ``POST /prompt``; ``prompt_id`` is the one that was sent, or else the one that was answered.

    ``status`` is the answer, whether or not it reached the client; 0 while there is none.
    """

    prompt_id: str | None
    prompt: Any
    extra_data: dict[str, Any]
    client_id: str | None
    status: int


@dataclass(slots=True, kw_only=True)
class Record:
    """``executed``: the ids of prompts in the order they were begun; ``interrupted``: of those that were stopped."""

    posts: list[Post] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For ``GET /sandbox/record``."""
        return {
            "posts": [asdict(post) for post in self.posts],
            "executed": list(self.executed),
            "interrupted": list(self.interrupted),
            "requests": [list(request) for request in self.requests],
        }
