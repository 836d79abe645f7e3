"""When a file may be read: a new one at once, a changed one when it has been still, and never before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from comfywatch.settling import Settling, Stamp

SMALL, LARGE = Stamp(size=1, mtime_ns=1), Stamp(size=2, mtime_ns=2)


def settling(seconds: float = 1.0) -> Settling[str]:
    return Settling(seconds)


def test_a_new_path_is_due_at_once() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=True)
    assert files.next_due() == 4.0
    assert files.take_settled(now=4.0) == [("a", SMALL)]


def test_a_known_path_is_due_when_it_has_been_still() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=False)
    assert files.take_settled(now=4.9) == []
    assert files.take_settled(now=5.0) == [("a", SMALL)]


def test_another_version_puts_it_off() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=False)
    files.saw("a", LARGE, now=4.8, is_new=False)
    assert files.take_settled(now=5.7) == []
    assert files.take_settled(now=5.8) == [("a", LARGE)]


def test_another_version_of_a_new_path_settles_like_any_change() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=True)
    files.saw("a", LARGE, now=4.0, is_new=True)
    assert files.take_settled(now=4.9) == []
    assert files.take_settled(now=5.0) == [("a", LARGE)]


def test_the_same_version_again_does_not_put_it_off() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=False)
    for tenth in range(10):
        files.saw("a", SMALL, now=4.0 + tenth / 10, is_new=False)
    assert files.take_settled(now=5.0) == [("a", SMALL)]


def test_what_did_not_parse_is_looked_at_once_more_when_it_has_been_still() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=True)
    files.take_settled(now=4.0)
    files.put_off("a", SMALL, now=4.0)
    assert "a" in files
    assert files.take_settled(now=4.9) == []
    assert files.take_settled(now=5.0) == [("a", SMALL)]


def test_what_was_taken_or_is_gone_is_forgotten() -> None:
    files = settling()
    files.saw("a", SMALL, now=4.0, is_new=True)
    files.saw("b", SMALL, now=4.0, is_new=True)
    files.forget("b")
    files.forget("never seen")
    assert files.take_settled(now=9.0) == [("a", SMALL)]
    assert files.take_settled(now=9.0) == []
    assert (len(files), files.next_due()) == (0, None)


def test_without_a_wait_everything_is_due_at_once() -> None:
    files = settling(0)
    files.saw("a", SMALL, now=4.0, is_new=False)
    assert files.take_settled(now=4.0) == [("a", SMALL)]


looks = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 30), st.booleans(), st.booleans()), max_size=40
)


@given(looks)
def test_a_changed_file_is_never_due_before_it_has_been_still(seen: list[tuple[str, int, int, bool, bool]]) -> None:
    """In tenths of a second, with a wait of one: an honest account of each path beside what is handed out."""
    files = Settling[str](10)
    now = 0
    version: dict[str, Stamp] = {}
    due: dict[str, int] = {}
    for name, size, later, is_new, is_taken in seen:
        now += later
        stamp = Stamp(size=size, mtime_ns=0)
        files.saw(name, stamp, now=now, is_new=is_new)
        if version.get(name) != stamp:
            due[name] = now if is_new and name not in version else now + 10
            version[name] = stamp
        if is_taken:
            taken = dict(files.take_settled(now=now))
            assert taken == {name: stamp for name, stamp in version.items() if due[name] <= now}
            for name in taken:
                del version[name], due[name]
        assert files.next_due() == min(due.values(), default=None)
