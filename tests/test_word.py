"""Word is sent: each end arrives, many jobs make one message, no service is waited for, and no address is said."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfywatch import gathering, newsroom, notifier, outlets
from comfywatch.album import MAX_BYTES, pictures_of
from comfywatch.bulletin import Bulletin, End
from comfywatch.choices import NotifyOn
from comfywatch.gathering import Gathering, News
from comfywatch.jobs import JobState
from comfywatch.notifier import Notifier
from comfywatch.postman import BadAddresses, services
from comfywatch.settings import Settings
from tests.stub_http import After, Reply, StubHttp
from tests.world import World, picture, text_to_image, with_node

TOKEN = "tok-5e1f0c77"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for, is waited for less long."""
    monkeypatch.setattr(gathering, "COLLECT_SECONDS", 0.3)
    monkeypatch.setattr(newsroom, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(notifier, "PAUSES", (0.05, 0.05, 0.05))


@pytest.fixture
def receiver() -> Iterator[StubHttp]:
    """A service that takes everything."""
    with StubHttp(Reply()) as stub:
        yield stub


def addresses(folder: Path, *urls: str) -> Path:
    """A file with these addresses, where no project lies."""
    file = folder / "etc" / "notify.urls"
    file.parent.mkdir(exist_ok=True)
    file.write_text("# who is told\n\n" + "".join(f"{url}\n" for url in urls))
    return file


def address(stub: StubHttp) -> str:
    return stub.url.replace("http://", f"json://ada:{TOKEN}@")


def telling(world: World, *entries: dict[str, Any], **settings: Any) -> World:
    """The same world, where word is sent."""
    return World(world.root, world.sandbox, notify=entries, **settings)


def titles(stub: StubHttp) -> list[str]:
    return [asked.json["title"] for asked in stub.asked]


@pytest.mark.parametrize(
    ("prompt", "title", "said"),
    [
        (picture(), "film/a: completed", "completed: film/a"),
        (with_node("TestFail", kind="error"), "film/a: failed", "failed: film/a: "),
        (text_to_image("nowhere.safetensors"), "film/a: blocked", "Model 'nowhere.safetensors' is not installed"),
        ("not a workflow", "film/a: invalid", "invalid: film/a: "),
    ],
    ids=["completed", "failed", "blocked", "invalid"],
)
def test_each_end_arrives(world: World, receiver: StubHttp, tmp_path: Path, prompt: Any, title: str, said: str) -> None:
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver))})
    told.start()
    told.drop("a.json", prompt)
    told.until(lambda: title in titles(receiver))
    told.stop()
    (asked,) = [asked for asked in receiver.asked if asked.json["title"] == title]
    assert said in asked.json["message"]
    assert asked.json["message"].endswith("comfywatch on here")
    assert asked.json["type"] == ("success" if title.endswith("completed") else "warning")


def test_the_picture_comes_along(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver))})
    told.drop("a.json", picture())
    assert told.run_once() == 0
    (asked,) = receiver.asked
    (attached,) = asked.json["attachments"]
    lies = world.projects / "film/outputs/a/001" / attached["filename"]
    assert base64.b64decode(attached["base64"]) == lies.read_bytes()
    assert attached["mimetype"] == "image/png"


def test_three_hundred_jobs_make_one_message(
    world: World, receiver: StubHttp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "COLLECT_SECONDS", 60.0)
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver))})
    for number in range(300):
        told.drop(f"{number}.json", picture(number))
    told.start(once=True)
    told.until(lambda: told.code is not None, patience=120)
    told.stop()
    (asked,) = receiver.asked
    assert asked.json["title"] == "film: 300 completed"
    assert "and 290 more" in asked.json["message"]
    assert "Nothing is left to do: 300 completed." in asked.json["message"]


def test_a_dead_receiver_delays_nothing(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    """One that takes a connection and never says a word; the other is told all the same."""
    with StubHttp(Reply(status=None, after=After.HANG)) as dead:
        told = telling(
            world,
            {"urls_file": addresses(tmp_path, address(receiver))},
            {"urls_file": addresses_of_dead(tmp_path, dead)},
        )
        told.start()
        told.drop("first.json", picture(1))
        told.until(lambda: dead.asked)
        begin = time.monotonic()
        for number in range(2, 12):
            told.drop(f"{number}.json", picture(number))
        for number in range(2, 12):
            told.until_state(f"{number}.json", "completed")
        assert time.monotonic() - begin < 4.0, "as long as the dead one may take"
        told.until(lambda: any("10 completed" in title for title in titles(receiver)))
        told.stop()


def addresses_of_dead(folder: Path, dead: StubHttp) -> Path:
    file = folder / "etc" / "dead.urls"
    file.write_text(f"{address(dead)}\n")
    return file


def test_a_chain_of_workflows_is_not_told_as_blocked(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    """What only waits for another workflow wants nobody."""
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver)), "on": ["blocked", "drained"]})
    second = picture(2)
    second["1"] = {"class_type": "LoadImage", "inputs": {"image": "@first"}}
    told.start()
    told.drop("second.json", second)
    told.until_state("second.json", "blocked")
    told.drop("first.json", picture(1))
    told.until_state("second.json", "completed")
    told.until(lambda: receiver.asked)
    told.stop()
    assert all("blocked" not in asked.json["message"] for asked in receiver.asked)


def test_what_a_person_holds_is_not_waited_for(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver)), "on": ["drained"]})
    (told.workflows() / "held.hold").touch()
    told.start()
    told.drop("held.json", picture(1))
    told.until_state("held.json", "pending")
    told.drop("a.json", picture(2))
    told.until(lambda: "Nothing is left to do: 1 completed" in titles(receiver))
    told.stop()
    assert told.entry("held.json")["state"] == "pending"


def test_what_was_blocked_before_a_restart_is_not_told_again(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver)), "on": ["blocked", "failed"]})
    told.start()
    told.drop("a.json", text_to_image("nowhere.safetensors"))
    told.until(lambda: receiver.asked)
    told.stop()
    told.start()
    told.drop("b.json", with_node("TestFail", kind="error"))
    told.until(lambda: "film/b: failed" in titles(receiver))
    told.stop()
    assert titles(receiver) == ["film/a: blocked", "film/b: failed"]


def test_what_another_machine_finished_is_no_news(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    world.drop("a.json", picture())
    assert world.run_once() == 0
    told = telling(
        world, {"urls_file": addresses(tmp_path, address(receiver))}, state=tmp_path / "other", existing="run"
    )
    told.drop("b.json", picture(2))
    assert told.run_once() == 0
    assert [title for title in titles(receiver) if title] == ["film/b: completed"]


# --- a service that does not take it


def word(file: Path, projects: Path) -> Notifier:
    return Notifier(file, Gathering(on=tuple(NotifyOn), projects=(), host="here"), projects=projects)


def news(*numbers: int) -> News:
    ends = (End(id=number, project="film", path=f"{number}.json", state=JobState.FAILED) for number in numbers)
    return News(ends=tuple(ends))


def test_a_message_that_is_not_taken_is_tried_again(tmp_path: Path) -> None:
    with StubHttp(Reply(status=503), Reply(status=503), Reply()) as moody:
        sender = word(addresses(tmp_path, address(moody)), tmp_path)
        sender.start()
        sender.tell(news(1))
        World.until(_Nobody(), lambda: len(moody.asked) == 3)  # type: ignore[arg-type]  # it only waits
        sender.stop(timeout=5)
        assert titles(moody) == ["film/1: failed"] * 3


def test_a_message_that_is_never_taken_is_given_up_and_the_next_one_sent(tmp_path: Path, log: io.StringIO) -> None:
    with StubHttp(Reply(status=503)) as broken:
        sender = word(addresses(tmp_path, address(broken)), tmp_path)
        sender.start()
        sender.tell(news(1))
        World.until(_Nobody(), lambda: "given up" in log.getvalue())  # type: ignore[arg-type]  # it only waits
        assert len(broken.asked) == 1 + len(notifier.PAUSES)
        sender.tell(news(2))
        World.until(_Nobody(), lambda: "film/2: failed" in titles(broken))  # type: ignore[arg-type]  # it only waits
        sender.stop(timeout=5)
    assert TOKEN not in log.getvalue()
    assert "line 3 of notify.urls (JSON) did not take it; trying again in 0.05 s" in log.getvalue()


def test_a_service_that_took_it_is_not_told_again_for_the_sake_of_another(tmp_path: Path, receiver: StubHttp) -> None:
    with StubHttp(Reply(status=503), Reply()) as moody:
        sender = word(addresses(tmp_path, address(receiver), address(moody)), tmp_path)
        sender.start()
        sender.tell(news(1))
        World.until(_Nobody(), lambda: len(moody.asked) == 2)  # type: ignore[arg-type]  # it only waits
        sender.stop(timeout=5)
    assert len(receiver.asked) == 1


def test_what_is_left_is_sent_at_the_end(tmp_path: Path, receiver: StubHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "COLLECT_SECONDS", 600.0)
    sender = word(addresses(tmp_path, address(receiver)), tmp_path)
    sender.start()
    sender.tell(news(1, 2))
    sender.stop(timeout=10)
    assert titles(receiver) == ["film: 2 failed"]


def test_what_a_slow_service_piles_up_is_bounded(tmp_path: Path, log: io.StringIO) -> None:
    """Its thread was not even started."""
    sender = word(addresses(tmp_path, "json://127.0.0.1:9"), tmp_path)
    for number in range(notifier.MAX_WAITING + 50):
        sender.tell(news(number))
    assert log.getvalue().count("is too slow") == 1


# --- addresses are secrets


@pytest.mark.parametrize("url", [f"nonsense://{TOKEN}", f"{TOKEN}", f"discord://{TOKEN}", f"mailto://{TOKEN}"])
def test_an_address_that_is_none_is_told_by_its_line(
    tmp_path: Path, url: str, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadAddresses) as refused:
        services(addresses(tmp_path, url))
    assert str(refused.value).endswith("notify.urls: line 3 is no address that apprise knows")
    shown = capfd.readouterr()
    assert TOKEN not in str(refused.value) + log.getvalue() + shown.out + shown.err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "there is no address in it"), (b"\xff\xfe", "is not UTF-8 text"), (b"#" * 70_000, "cannot be read")],
)
def test_a_file_that_will_not_do_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "urls").write_bytes(content)
    with pytest.raises(BadAddresses, match=said):
        services(tmp_path / "urls")


def test_a_service_that_cannot_be_reached_says_no_secret(
    tmp_path: Path, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    (service,) = services(addresses(tmp_path, f"json://ada:{TOKEN}@127.0.0.1:9/{TOKEN}"))
    assert not service.send(Bulletin(title="a", text="b"))
    shown = capfd.readouterr()
    assert TOKEN not in service.name + log.getvalue() + shown.out + shown.err
    assert shown.err == ""


def test_no_file_holds_an_address(world: World, receiver: StubHttp, tmp_path: Path) -> None:
    told = telling(world, {"urls_file": addresses(tmp_path, address(receiver))})
    told.drop("a.json", with_node("TestFail", kind="error"))
    assert told.run_once() == 1
    assert receiver.asked[0].headers["Authorization"]
    assert [path for path in world.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()] == []


# --- pictures


def run_of(project: str, lies_in: str = "outputs/a/001") -> End:
    return End(id=1, project=project, path="a.json", state=JobState.COMPLETED, run=1, lies_in=lies_in)


def test_the_first_picture_of_a_run_is_taken_and_no_link_is_followed(tmp_path: Path) -> None:
    run = tmp_path / "film/outputs/a/001"
    run.mkdir(parents=True)
    (run / "result.yaml").write_text("a: 1")
    (run / "a_10.png").write_bytes(b"ten")
    (run / "a_9.PNG").write_bytes(b"nine")
    (taken,) = pictures_of([run_of("film")], tmp_path)
    assert (taken.name, taken.data, taken.mime_type) == ("a_9.PNG", b"nine", "image/png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run / "a_1.png").symlink_to(tmp_path / "secret.png")
    assert pictures_of([run_of("film")], tmp_path) == []


def test_a_picture_that_is_too_large_or_gone_is_left_out(tmp_path: Path) -> None:
    run = tmp_path / "film/outputs/a/001"
    run.mkdir(parents=True)
    with (run / "a.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert pictures_of([run_of("film"), run_of("gone"), run_of("film", "outputs/../..")], tmp_path) == []


# --- without the extra


def test_what_needs_a_package_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "find_spec", lambda _: None)
    settings = Settings(root=tmp_path, notify=[{"urls_file": tmp_path / "u"}], metrics_file=tmp_path / "x.prom")
    assert list(outlets.lacking(settings)) == [
        "notify needs one more package: pip install 'comfywatch[notify]', or pipx inject comfywatch apprise",
        "metrics_file needs one more package: pip install 'comfywatch[metrics]', "
        "or pipx inject comfywatch prometheus-client",
    ]
    assert list(outlets.lacking(Settings(root=tmp_path))) == []


def test_without_the_packages_the_work_goes_on(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "find_spec", lambda _: None)
    told = telling(world, {"urls_file": tmp_path / "nowhere"}, metrics_file=tmp_path / "x.prom")
    told.drop("a.json", picture())
    assert told.run_once() == 0
    assert not (tmp_path / "x.prom").exists()


class _Nobody:
    """What ``World.until`` needs of a world, where there is none."""

    def _all(self) -> dict[str, Any]:
        return {}
