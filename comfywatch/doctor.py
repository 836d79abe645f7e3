"""What is judged by ``comfywatch doctor``: each check takes values and says what they mean, and what to do.

Nothing here reads a file or asks a server; ``commands.doctor`` brings the values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from comfywatch.away import ANOTHER_DISK
from comfywatch.inventory import Inventory
from comfywatch.jobs import JobState
from comfywatch.mounts import NETWORK_FILE_SYSTEMS
from comfywatch.sync_tools import SCRATCH, STIGNORE, Shared
from comfywatch.tree import Forest

LITTLE_SPACE = 5 * 2**30
"""Bytes; a video job fills that in an evening."""
NO_SPACE = 200 * 2**20
SLOW_SECONDS = 2.0
OLD = timedelta(days=1)
NOTICES_SHOWN = 5
_RAISE = "echo fs.inotify.{}={} | sudo tee /etc/sysctl.d/60-inotify-{}.conf; sudo sysctl --system"
MORE_WATCHES = _RAISE.format("max_user_watches", 524288, "watches")
MORE_INSTANCES = _RAISE.format("max_user_instances", 1024, "instances")


class Level(StrEnum):
    """How bad a finding is: all but ``OK`` want a person."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; ``mend`` is empty where there is nothing to do."""

    subject: str
    level: Level
    sentence: str
    mend: str = ""


def ok(subject: str, sentence: str) -> Finding:
    """Nothing to do."""
    return Finding(subject=subject, level=Level.OK, sentence=sentence)


def warning(subject: str, sentence: str, mend: str) -> Finding:
    """It works, and will give trouble."""
    return Finding(subject=subject, level=Level.WARNING, sentence=sentence, mend=mend)


def problem(subject: str, sentence: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(subject=subject, level=Level.PROBLEM, sentence=sentence, mend=mend)


def of_folder(subject: str, folder: Path, *, is_there: bool, is_writable: bool) -> Finding:
    """Whether comfywatch can work in one of its folders; one that is missing is made at the start."""
    if is_writable:
        return ok(subject, f"{folder} can be written" if is_there else f"{folder} will be made at the start")
    return problem(subject, f"{folder} cannot be written", f"give yourself the right to: chmod u+rwx {folder}")


def of_state_disk(folder: Path, file_system: str, synced: Path | None) -> Finding:
    """Whether the database is safe where it lies; ``file_system`` is empty where the system does not say."""
    mend = "set 'state:' in config.yaml to a folder on a local disk that no tool synchronises"
    if file_system in NETWORK_FILE_SYSTEMS:
        return problem("state", f"{folder} is on a network drive ({file_system})", mend)
    if synced is not None:
        return problem("state", f"{folder} is below {synced}, which a sync tool copies", mend)
    return ok("state", f"{folder} is on a local disk" + (f" ({file_system})" if file_system else ""))


def of_comfyui(url: str, *, version: str, seconds: float) -> Finding:
    """A ComfyUI that answered, and how fast."""
    answered = f"{url} answers in {seconds * 1000:.0f} ms; ComfyUI {version or 'of an unknown version'}"
    if seconds > SLOW_SECONDS:
        return warning("ComfyUI", answered, "it is busy or far away; raise api_timeout_seconds if jobs get stuck")
    return ok("ComfyUI", answered)


def of_no_comfyui(why: str) -> Finding:
    """A ComfyUI that did not answer as one; ``why`` is the client's sentence."""
    return problem("ComfyUI", why, "start ComfyUI, or say in config.yaml where it is: comfyui_url: http://gpu-box:8188")


def of_headers(notice: str) -> Finding:
    """Whether the file with the secrets is closed to others; ``notice`` says why not."""
    if not notice:
        return ok("headers", "the headers file can be read by you alone")
    sentence, _, mend = notice.partition("; to mend it: ")
    return warning("headers", sentence, mend or "let nobody else read it")


def of_extras(lacking: Iterable[str]) -> Iterator[Finding]:
    """What the settings ask for and no package is there for; ``lacking`` are sentences with the command."""
    for sentence in lacking:
        what, _, mend = sentence.partition(": ")
        yield problem("extras", what, mend)


def of_addresses(file: Path, *, wrong: str, notice: str) -> Finding:
    """Whether those can be told who are to be; ``wrong`` says why not, ``notice`` that others can read the file."""
    if wrong:
        return problem("notify", wrong, f"mend {file}; docs/notify.md says what an address is")
    if notice:
        return warning("notify", notice, f"chmod 600 {file}")
    return ok("notify", f"{file} can be read; comfywatch doctor --notify sends a test")


def of_test(service: str, *, is_taken: bool) -> Finding:
    """Whether a service took the test message."""
    if is_taken:
        return ok("notify", f"{service} took a test message")
    return problem("notify", f"{service} did not take a test message", "mend its address, or see whether it is up")


def of_metrics_file(file: Path, *, is_writable: bool) -> Finding:
    """Whether the figures get to where somebody reads them."""
    if not is_writable:
        return problem(
            "metrics", f"{file.parent} is not there or cannot be written", f"make it writable: {file.parent}"
        )
    if file.suffix != ".prom":
        return warning("metrics", f"{file} does not end in .prom", "give it that ending: the node exporter wants it")
    return ok("metrics", f"{file} can be written")


def of_inventory(found: Inventory | None, *, now: datetime, is_running: bool) -> Finding:
    """How old the knowledge of what is installed is; comfywatch brings it up to date when it starts."""
    mend = "comfywatch inventory refresh"
    known = found.last_updated if found is not None else None
    age = None if known is None else now - known
    said = f"known as of {_ago(age)}" if age is not None else "not known"
    sentence = f"what ComfyUI has installed is {said}"
    if age is not None and age <= OLD:
        return ok("inventory", sentence)
    return (
        warning("inventory", sentence, mend) if is_running else ok("inventory", f"{sentence}; it is asked at the start")
    )


def of_inotify(watches: int, instances: int, *, folders: int) -> Finding:
    """Whether Linux gives enough watches; ``folders`` is how many there are to be watched."""
    mend = MORE_WATCHES
    sentence = f"{_count(folders, 'folder')} to watch, {watches} watches and {instances} instances a user"
    if folders >= watches:
        return problem("inotify", sentence, mend)
    if folders * 2 > watches or watches < 8192:
        return warning("inotify", sentence, mend)
    return ok("inotify", sentence)


def of_watching(unheard: Mapping[str, str], *, every: float) -> Iterator[Finding]:
    """Of which projects the system does not tell every change, as the daemon found; an empty name is all of them."""
    for why in sorted(set(unheard.values())):
        names = sorted(name for name, reason in unheard.items() if reason == why)
        which = "all projects" if "" in names else ", ".join(names[:NOTICES_SHOWN])
        more = f" and {len(names) - NOTICES_SHOWN} more" if len(names) > NOTICES_SHOWN else ""
        sentence = f"{which}{more}: {why}; looked through every {every:g} s instead"
        if "fs.inotify" in why:
            yield warning("watching", sentence, MORE_INSTANCES if "instances" in why else MORE_WATCHES)
        else:
            yield ok("watching", sentence)


def of_absence(folder: Path, *, is_there: bool, workflows: int) -> Iterator[Finding]:
    """Whether the projects are away; ``workflows`` is how many are known to have been there."""
    if not is_there and workflows:
        sentence = f"{folder} is empty or not there; {_count(workflows, 'workflow')} known of it"
        yield problem(
            "projects", sentence, f"mount it, or rename it back to {folder}; nothing counts as removed till then"
        )


def of_missing_projects(waiting: Mapping[str, int], another: Collection[str]) -> Iterator[Finding]:
    """Projects that are away while ``waiting`` jobs of theirs are unfinished; ``another`` have another disk there."""
    for name in sorted(another):
        yield problem("projects", f"{name}: {ANOTHER_DISK}", f"mount the disk of {name} again")
    for name, count in sorted(waiting.items()):
        if name not in another:
            sentence = f"{name} is not there; {_count(count, 'workflow')} of it unfinished"
            yield warning("projects", sentence, f"bring {name} back, or: comfywatch cancel {name}")


def of_sync_tools(sharing: Iterable[Shared]) -> Iterator[Finding]:
    """Which sync tools share the projects, and what is to be set in them."""
    for shared in sharing:
        tool, subject = shared.tool, "sharing"
        if shared.is_set_up:
            yield ok(subject, f"{tool.name} shares {shared.root}, and leaves out what is half written")
        elif shared.is_set_up is None:
            yield ok(subject, f"{tool.name} shares {shared.root}; there, {tool.advice}")
        elif tool.name == "Syncthing":
            sentence = f"Syncthing shares {shared.root}, with what is half written"
            yield warning(subject, sentence, f"echo '(?d){SCRATCH}' >> {shared.root / STIGNORE}")
        else:
            yield warning(subject, f"{tool.name} shares {shared.root}, with what is half written", tool.advice)
        for path in shared.misplaced[:NOTICES_SHOWN]:
            mend = f"put its lines into {shared.root / STIGNORE}, and remove {path}"
            yield warning(subject, f"Syncthing does not read {path}, only the one in {shared.root}", mend)


def of_space(subject: str, folder: Path, free: int) -> Finding:
    """How many bytes are left on a disk."""
    sentence = f"{_size(free)} free at {folder}"
    if free < NO_SPACE:
        return problem(subject, sentence, "make room: outputs cannot be fetched to a full disk")
    if free < LITTLE_SPACE:
        return warning(subject, sentence, "make room soon")
    return ok(subject, sentence)


def of_daemon(*, is_running: bool) -> Finding:
    """Whether anybody watches."""
    if is_running:
        return ok("daemon", "comfywatch is running")
    return warning("daemon", "comfywatch is not running, so nothing is taken", "comfywatch run")


def of_projects(folder: Path, forest: Forest) -> Iterator[Finding]:
    """What lies in the projects, and what lies in the wrong place."""
    trees = forest.projects.values()
    if not trees:
        yield problem("projects", f"there is no project in {folder}", "comfywatch new my-film")
    else:
        workflows = sum(len(tree.files) for tree in trees)
        yield ok("projects", f"{_count(len(trees), 'project')}, {_count(workflows, 'workflow')}")
    notices = [*forest.notices, *(f"{tree.name}/{notice}" for tree in trees for notice in tree.notices)]
    for notice in notices[:NOTICES_SHOWN]:
        yield _misplaced(notice)
    if len(notices) > NOTICES_SHOWN:
        yield warning("files", f"and {len(notices) - NOTICES_SHOWN} more of the kind", "comfywatch status")


def _misplaced(notice: str) -> Finding:
    """From ``a.json is not read; move it to workflows/``, with a mend that says itself what "it" is."""
    sentence, _, mend = notice.rpartition("; ")
    name = sentence.partition(" is ")[0]
    return warning(
        "files", sentence or notice, mend.replace(" it ", f" {name} ", 1) if sentence else f"look at {notice}"
    )


def of_jobs(counts: Mapping[JobState, int]) -> Iterator[Finding]:
    """What waits for a person; ``counts`` are of jobs that are not at their end."""
    stopped = [f"{counts[state]} {state}" for state in (JobState.BLOCKED, JobState.INVALID) if counts.get(state)]
    if stopped:
        yield warning("workflows", f"{' and '.join(stopped)}", "comfywatch status")


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nobody has to do anything."""
    return all(finding.level is Level.OK for finding in findings)


def next_step(findings: Collection[Finding]) -> str:
    """The one thing to do now: the first problem's mend, else the first warning's, else what all of this is for."""
    for level in (Level.PROBLEM, Level.WARNING):
        for finding in findings:
            if finding.level is level:
                return finding.mend
    return "all is well; drop a workflow into projects/NAME/workflows/"


def _ago(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes == 0:
        return "a moment ago"
    if minutes < 120:
        return f"{_count(minutes, 'minute')} ago"
    return f"{minutes // 60} hours ago" if minutes < 2 * 24 * 60 else f"{minutes // (24 * 60)} days ago"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
