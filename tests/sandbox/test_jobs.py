"""``/api/jobs`` of newer servers, and that older ones have none."""

from __future__ import annotations

import pytest

from tests.sandbox.talk import Client, node, small, until

NEWER = pytest.mark.parametrize("version", ["0.33.0"])


def statuses(client: Client) -> dict[str, str]:
    return {job["id"]: job["status"] for job in client.get("/api/jobs").json()["jobs"]}


def test_the_older_server_has_no_jobs(client: Client) -> None:
    assert client.get("/api/jobs").status_code == 404
    assert client.get("/api/jobs/x").status_code == 404


@NEWER
def test_jobs_are_found_under_api_only(client: Client, version: str) -> None:
    assert client.get("/jobs").status_code == 404
    assert client.get("/api/jobs").status_code == 200


@NEWER
def test_each_state_of_a_job_has_its_name(client: Client, version: str) -> None:
    done = client.submit(small(1))
    failed = client.submit({**small(2), "3": node("TestFail", image=["1", 0], kind="oom"), "2": saved("3")})
    client.history(failed)
    client.sandbox.faults.hold = True
    stopped = client.submit(small(3))
    until(lambda: stopped in client.sandbox.executed)
    assert client.post(f"/api/jobs/{stopped}/cancel").json() == {"cancelled": True}
    client.history(stopped)
    running = client.submit(small(4))
    until(lambda: running in client.sandbox.executed)
    waiting = client.submit(small(5))
    assert statuses(client) == {
        waiting: "pending",
        running: "in_progress",
        stopped: "cancelled",
        failed: "failed",
        done: "completed",
    }
    assert client.get(f"/api/jobs/{failed}").json()["execution_error"]["exception_type"] == "torch.OutOfMemoryError"
    assert client.get(f"/api/jobs/{waiting}").json()["outputs_count"] == 0
    client.sandbox.faults.release()
    client.history(waiting)


def saved(source: str) -> dict[str, object]:
    return node("SaveImage", images=[source, 0], filename_prefix="small")


@NEWER
def test_a_waiting_job_is_cancelled_by_taking_it_out(client: Client, version: str) -> None:
    client.sandbox.faults.pause = True
    prompt_id = client.submit(small())
    assert client.post(f"/api/jobs/{prompt_id}/cancel").json() == {"cancelled": True}
    assert client.post(f"/api/jobs/{prompt_id}/cancel").json() == {"cancelled": False}
    assert statuses(client) == {}


@NEWER
def test_many_are_cancelled_at_once(client: Client, version: str) -> None:
    client.sandbox.faults.pause = True
    prompt_ids = [client.submit(small(color)) for color in range(2)]
    assert client.post("/api/jobs/cancel", json={"job_ids": prompt_ids}).json() == {"cancelled": True}
    assert client.post("/api/jobs/cancel", json={"job_ids": ["nonsense"]}).status_code == 400
    assert client.post("/api/jobs/cancel", json={}).status_code == 400
    assert client.post("/api/jobs/cancel", body=b"{").status_code == 400
    assert client.sandbox.executed == []


@NEWER
def test_jobs_are_filtered_sorted_and_paged(client: Client, version: str) -> None:
    workflow = {"extra_pnginfo": {"workflow": {"id": "w1"}}}
    first = client.submit(small(1), extra_data=workflow)
    second = client.submit(small(2))
    client.history(second)
    page = client.get("/api/jobs?limit=1&offset=1&sort_order=asc").json()
    assert page["pagination"] == {"offset": 1, "limit": 1, "total": 2, "has_more": False}
    assert client.get("/api/jobs?status=pending,failed").json()["jobs"] == []
    (found,) = client.get("/api/jobs?workflow_id=w1").json()["jobs"]
    assert (found["id"], found["workflow_id"]) == (first, "w1")
    assert len(client.get("/api/jobs?sort_by=execution_duration").json()["jobs"]) == 2


@NEWER
@pytest.mark.parametrize("query", ["status=odd", "limit=0", "limit=x", "offset=x", "sort_by=x", "sort_order=x"])
def test_a_bad_question_is_refused(client: Client, query: str, version: str) -> None:
    assert client.get(f"/api/jobs?{query}").status_code == 400


@NEWER
def test_a_text_is_a_preview_when_there_is_no_picture(client: Client, version: str) -> None:
    entry = client.submit({"1": node("TestText", text="a" * 2000)})
    client.history(entry)
    preview = client.get(f"/api/jobs/{entry}").json()["preview_output"]
    assert (preview["mediaType"], preview["truncated"], len(preview["content"])) == ("text", True, 1024)
