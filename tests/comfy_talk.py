"""What the tests of the ComfyUI client share: the client beside a stub, and everything that it can ask or order."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from comfywatch.comfy import Comfy
from tests.stub_http import After, Asked, Reply, StubHttp, reply

ID = "6613aa0e-9d62-4b0e-a2ab-6c2b0d1c9f11"
EMPTY_404 = Reply(status=404, headers={"Content-Type": "application/octet-stream"})
ACCEPTED = reply({"prompt_id": ID, "number": 7, "node_errors": {}})
NO_ANSWER = Reply(status=None, after=After.HANG)
RESET = Reply(status=None, after=After.RESET)
SECRET = "hunter2-hunter2"

Talk = Callable[..., tuple[Comfy, StubHttp]]


@contextmanager
def talking() -> Iterator[Talk]:
    """Opens clients, each with the stub that it talks to, and closes them."""
    with ExitStack() as stack:

        def opened(*replies: Reply, path: str = "", timeout: float = 10.0, **options: Any) -> tuple[Comfy, StubHttp]:
            stub = stack.enter_context(StubHttp(*replies))
            return stack.enter_context(Comfy(stub.url + path, timeout=timeout, **options)), stub

        yield opened


QUESTIONS: dict[str, Callable[[Comfy], object]] = {
    "system_stats": Comfy.system_stats,
    "features": Comfy.features,
    "object_info": Comfy.object_info,
    "model_folders": Comfy.model_folders,
    "models_in": lambda comfy: comfy.models_in("loras"),
    "queue": Comfy.queue,
    "queue_remaining": Comfy.queue_remaining,
    "history": lambda comfy: comfy.history(ID),
    "recent_history": lambda comfy: comfy.recent_history(3),
    "job": lambda comfy: comfy.job(ID),
    "view": lambda comfy: received(comfy),
}
ORDERS: dict[str, Callable[[Comfy], object]] = {
    "post_prompt": lambda comfy: comfy.post_prompt({"prompt": {}}),
    "delete_pending": lambda comfy: comfy.delete_pending([ID]),
    "cancel_job": lambda comfy: comfy.cancel_job(ID),
    "interrupt": lambda comfy: comfy.interrupt(ID),
    "upload_image": lambda comfy: comfy.upload_image(io.BytesIO(b"x"), name="x.png", subfolder=""),
    "free": Comfy.free,
}
EVERYTHING = QUESTIONS | ORDERS
each_question = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
each_order = pytest.mark.parametrize("ask", ORDERS.values(), ids=ORDERS)
each = pytest.mark.parametrize("ask", EVERYTHING.values(), ids=EVERYTHING)


def received(comfy: Comfy, *, filename: str = "a.png", subfolder: str = "", kind: str = "output") -> bytes:
    with comfy.view(filename=filename, subfolder=subfolder, kind=kind) as download:
        return b"".join(download.chunks())


def one(stub: StubHttp) -> Asked:
    assert len(stub.asked) == 1
    return stub.asked[0]
