"""The settings: every key with its type, range and default, and how they are read.

From strong to weak: the command line, ``COMFYWATCH_…`` variables, ``config.yaml``, defaults. All that is wrong is said
together, each with its place; no message and no ``repr`` shows a secret.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, ValidationInfo
from pydantic import field_validator as field_check
from pydantic import model_validator as model_check

from comfywatch.choices import LogLevel, NotifyOn, OutputNames, Previews, Take, Watch
from comfywatch.given import Given, config_file, url_of_session
from comfywatch.headers import BadHeaders, read_headers, readable_by_others
from comfywatch.plain_yaml import shown
from comfywatch.urls import checked_url, safe_url

DEFAULT_URL = "http://127.0.0.1:8188"
NOT_YET: frozenset[str] = frozenset()
"""Keys that are accepted without effect in this version."""

_SECRET = {"notify"}
_IN_ROOT = cast(Path, None)  # until the validators know where root is


class BadSettings(ValueError):
    """The settings cannot be used; ``problems`` has all of it, ``subject`` says which file."""

    def __init__(self, subject: str, problems: list[str] | tuple[str, ...]) -> None:
        super().__init__("\n  - ".join((f"{subject} cannot be used:", *problems)))
        self.subject = subject
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a person is told to write when the value of a setting will not do."""

    words: str


_Seconds = Annotated[float, Field(strict=True, gt=0, le=86_400, allow_inf_nan=False), Expected("seconds above 0")]
_Pause = Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False), Expected("seconds, 0 or more")]
_Minutes = Annotated[float, Field(strict=True, gt=0, le=525_600, allow_inf_nan=False), Expected("minutes above 0")]
_MaybeMinutes = Annotated[
    float | None, Field(strict=True, gt=0, le=525_600, allow_inf_nan=False), Expected("minutes above 0, or null")
]
_InFlight = Annotated[
    Literal["auto"] | Annotated[int, Field(strict=True, ge=1, le=1000)],
    Expected("auto, or a number from 1 to 1000"),
]
_Megabytes = Annotated[int, Field(strict=True, ge=1, le=1024), Expected("a whole number of megabytes from 1 to 1024")]
_Port = Annotated[int | None, Field(strict=True, ge=1, le=65_535), Expected("a port from 1 to 65535, or null")]
_Switch = Annotated[bool, Strict(), Expected("true or false")]
_Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"), Expected("a name on one line")]
_Names = Annotated[tuple[str, ...], Expected("a list of names")]
_Folders = Annotated[tuple[Path, ...], Expected("a list of folders")]
_ModelNames = Annotated[Mapping[str, str], Expected("a map of names: 'wanted: installed'")]


class Notify(BaseModel):
    """Who is told of what: the services in ``urls_file``, of ``projects``, or of all if there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    urls_file: Path = Field(description="A file with an address of apprise a line, outside projects/.")
    on: tuple[NotifyOn, ...] = Field(tuple(NotifyOn), description="What is told of.")
    projects: tuple[str, ...] = Field((), description="The projects that are told of; without them all are.")

    @model_check(mode="before")
    @classmethod
    def _on_is_a_word(cls, data: Any) -> Any:
        """YAML 1.1 reads a bare ``on`` as true."""
        return {"on" if key is True else key: data[key] for key in data} if isinstance(data, Mapping) else data

    @field_check("urls_file")
    @classmethod
    def _path(cls, value: Path, info: ValidationInfo) -> Path:
        return _absolute(value, info)


_Notify = Annotated[tuple[Notify, ...], Expected("a list such as [{urls_file: notify.urls, on: [failed, drained]}]")]


def _host_name() -> str:
    return platform.node() or "localhost"


class Settings(BaseModel):
    """All settings; ``load`` reads them, and tests may make them directly.

    A key without a value takes its default. Relative paths start at the config's folder, ``~`` is the home folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    root: Path = Field(Path(), description="The folder that holds projects/ and references/.")
    state: Path = Field(_IN_ROOT, description="Where the daemon keeps its database, on a local disk.")
    comfyui_url: str = Field(DEFAULT_URL, description="Where ComfyUI is.")
    headers_file: Path | None = Field(None, description="A file with headers to send, 'Name: value' a line.")
    ca_file: Path | None = Field(None, description="Certificates to trust when ComfyUI is behind https.")

    api_timeout_seconds: _Seconds = Field(30, description="How long ComfyUI may take to answer.")
    poll_seconds: _Seconds = Field(5, description="The longest pause between two looks at ComfyUI.")
    warn_after_minutes: _Minutes = Field(10, description="Say that a job takes long, or after twice its usual time.")
    max_runtime_minutes: _MaybeMinutes = Field(None, description="Interrupt a job that runs longer.")
    max_in_flight: _InFlight = Field("auto", description="How many jobs may lie in ComfyUI's queue.")

    settle_seconds: _Pause = Field(1, description="How long a changed file must be still before it is read.")
    rescan_seconds: _Seconds = Field(30, description="How often all folders are looked through.")
    delete_grace_seconds: _Pause = Field(10, description="How long a file may be gone before its job is taken out.")
    progress_seconds: _Seconds = Field(30, description="How often progress alone is written to status.yaml, at most.")
    watch: Watch = Field(Watch.AUTO, description="How changes in folders are noticed.")

    existing: Take = Field(Take.HOLD, description="What happens to workflows that were there before the first start.")
    partial: Take = Field(Take.HOLD, description="What happens if ComfyUI would run only some of a workflow's outputs.")
    max_workflow_mb: _Megabytes = Field(16, description="Larger workflow files are not read.")
    models: _ModelNames = Field({}, description="Model names that workflows ask for, and what they are called here.")
    deny_nodes: _Names = Field((), description="Classes of nodes that are never submitted.")

    previews: Previews = Field(Previews.OFF, description="What becomes of the pictures of preview nodes.")
    output_names: OutputNames = Field(OutputNames.UNIQUE, description="How output files are called.")
    provenance: _Switch = Field(True, description="Write into each output which project, workflow and run it is from.")

    allow_links: _Folders = Field((), description="Folders outside a project that links in it may lead to.")
    allow_project_urls: _Switch = Field(False, description="Let manifests name a ComfyUI on another machine.")

    owner: _Word = Field(default_factory=_host_name, description="This machine's name, as manifests give it.")

    page: _Switch = Field(True, description="Write index.html into each project.")
    publish_inventory: _Switch = Field(False, description="Write projects/inventory.yaml.")
    notify: _Notify = Field((), repr=False, description="Who is told when jobs end, or are blocked.")
    metrics_file: Path | None = Field(None, description="A file for the node exporter to read metrics from.")
    metrics_port: _Port = Field(None, description="A port of this machine to have metrics at.")
    log_level: LogLevel = Field(LogLevel.INFO, description="The least important messages to log.")

    @property
    def projects(self) -> Path:
        return self.root / "projects"

    @property
    def database(self) -> Path:
        return self.state / "comfywatch.db"

    @property
    def lock(self) -> Path:
        return self.state / "comfywatch.lock"

    @property
    def inventory_file(self) -> Path:
        return self.state / "inventory.json"

    @property
    def live_file(self) -> Path:
        return self.state / "live.json"

    @property
    def object_info_file(self) -> Path:
        return self.state / "object_info.json"

    @property
    def references_file(self) -> Path:
        return self.root / "references" / "models.md"

    def headers(self) -> dict[str, str]:
        """What ``headers_file`` holds now. Raises ``BadSettings``, which names the file and never a value."""
        if self.headers_file is None:
            return {}
        try:
            return read_headers(self.headers_file)
        except BadHeaders as error:
            raise BadSettings(str(self.headers_file), error.problems) from None

    def without_effect(self) -> list[str]:
        """The keys of ``NOT_YET`` that were given a value all the same."""
        return [name for name in sorted(NOT_YET) if name in self.model_fields_set]

    def headers_notice(self) -> str:
        """A warning if every user of this machine may read ``headers_file``; else nothing."""
        if self.headers_file is None or not readable_by_others(self.headers_file):
            return ""
        return f"every user of this machine can read {self.headers_file}; to mend it: chmod 600 {self.headers_file}"

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, safe_url(value) if name == "comfyui_url" else value

    @model_check(mode="before")
    @classmethod
    def _leave_out_the_empty(cls, data: Any) -> Any:
        """Keys without a value count as not given."""
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None and value != ""}

    @field_check("state", mode="before")
    @classmethod
    def _state_is_in_root(cls, value: Any, info: ValidationInfo) -> Any:
        return info.data.get("root", Path()) / "state" if value is None else value

    @field_check("previews", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        """YAML 1.1 reads a bare ``off`` as false."""
        return "off" if value is False else value

    @field_check("comfyui_url")
    @classmethod
    def _url(cls, value: str) -> str:
        return checked_url(value)

    @field_check("root", "state", "headers_file", "ca_file", "metrics_file")
    @classmethod
    def _path(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return None if value is None else _absolute(value, info)

    @field_check("allow_links")
    @classmethod
    def _paths(cls, value: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
        return tuple(_absolute(path, info) for path in value)

    @model_check(mode="after")
    def _secrets_stay_at_home(self) -> Settings:
        secret = {"headers_file": self.headers_file}
        secret |= {f"notify[{number}].urls_file": entry.urls_file for number, entry in enumerate(self.notify)}
        for place, file in secret.items():
            if file and Path(os.path.realpath(file)).is_relative_to(os.path.realpath(self.projects)):
                raise ValueError(f"{place}: expected a file outside projects/, as projects are shared")
        return self


def load(path: Path | None, *, env: Mapping[str, str], cwd: Path, url: str | None = None) -> Settings:
    """The settings of a command: ``path`` is ``--config``, ``url`` is ``--url``. Raises ``BadSettings``.

    Without a file the defaults hold, with ``cwd`` as root.
    """
    given = Given(known=frozenset(Settings.model_fields))
    file = config_file(path, env=env, cwd=cwd)
    if file:
        given.take_file(cwd / file)
    given.take("comfyui_url", env.get("COMFYUI_URL"), label="COMFYUI_URL")
    given.take_environment(env, as_text=_AS_TEXT)
    given.take("comfyui_url", url, label="--url")
    settings = _checked(given, base=(cwd / file).parent if file else cwd)
    if settings is None or given.problems:
        raise BadSettings(str(file) if file and given.is_fault_of_file() else "the settings", given.problems)
    last = None if "comfyui_url" in given.values else url_of_session(settings.state / "session.json")
    return settings.model_copy(update={"comfyui_url": last}) if last else settings


def _checked(given: Given, *, base: Path) -> Settings | None:
    """The settings, or ``None`` with what is wrong noted: pydantic's error holds the values and goes no further."""
    try:
        return Settings.model_validate(given.values, context={"base": base})
    except ValidationError as error:
        given.judge(error.errors(include_url=False), expected=_EXPECTED, secret=_SECRET)
        return None


def _absolute(path: Path, info: ValidationInfo) -> Path:
    if "\0" in str(path):
        raise ValueError("expected a path, got one with a NUL character")
    try:
        return Path((info.context or {}).get("base", Path.cwd())) / path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"expected a path, got {shown(str(path))}, and there is no such home folder") from error


def _is_text(annotation: Any) -> bool:
    """Whether a variable's value is taken as it stands: words and paths, which YAML might read as something else."""
    kinds = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return any(isinstance(kind, type) and issubclass(kind, (str, Path)) for kind in kinds)


_AS_TEXT = frozenset(name for name, field in Settings.model_fields.items() if _is_text(field.annotation))
_EXPECTED = {
    name: marker.words
    for name, field in Settings.model_fields.items()
    for marker in field.metadata
    if isinstance(marker, Expected)
}
