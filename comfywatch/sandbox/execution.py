"""Running the nodes of one prompt, and telling of it as ComfyUI does."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from typing import Any

from comfywatch.sandbox.caching import Cache, is_link, keys_of, known_inputs, needed_nodes
from comfywatch.sandbox.nodes import NODES, Outcome, OutOfMemoryError
from comfywatch.sandbox.queue import Ending
from comfywatch.sandbox.run import Interrupted, Run

Json = dict[str, Any]
OUT_OF_MEMORY = (
    "This error means you ran out of memory on your GPU.\n\n"
    "TIPS: If the workflow worked before you might have accidentally set the batch_size to a large number."
)


class Execution:
    """One prompt's nodes; ``before_node`` is awaited before each, so that tests can hold a prompt."""

    def __init__(self, run: Run, cache: Cache, before_node: Callable[[Run], Any]) -> None:
        self._run = run
        self._cache = cache
        self._before_node = before_node
        self._prompt: Json = run.item.prompt
        self._done: dict[str, Outcome] = {}
        self._executed: list[str] = []
        self._shown: Json = {}

    async def work(self, *, until: float) -> Ending:
        """Run what is not known already; takes at least ``until`` (of the performance counter) if anything is run."""
        run, outputs = self._run, self._run.item.outputs
        run.message("execution_start", {})
        keys = keys_of(self._prompt, needed_nodes(self._prompt, outputs, run.installation), run.installation)
        self._cache.begin(keys.values())
        cached = {node_id: found for node_id in self._prompt if (found := self._cache.get(keys.get(node_id, "")))}
        run.message("execution_cached", {"nodes": list(cached)})
        self._done.update(cached)
        order = needed_nodes(self._prompt, outputs, run.installation, known=cached)
        success = await self._run_all(order, cached, keys)
        if success:
            if self._executed:
                await asyncio.sleep(max(0.0, until - time.perf_counter()))
            run.message("execution_success", {})
        meta = {node_id: _meta(node_id) for node_id in self._shown}
        return Ending(success=success, messages=run.messages, outputs=self._shown, meta=meta)

    async def _run_all(self, order: list[str], cached: Json, keys: dict[str, str]) -> bool:
        outputs = self._run.item.outputs
        for node_id in order:
            if node_id not in cached:
                if not await self._run_one(node_id):
                    return False
                self._cache.put(keys[node_id], self._done[node_id])
                self._executed.append(node_id)
            elif node_id in outputs:
                self._show(node_id)
        return True

    async def _run_one(self, node_id: str) -> bool:
        run, inputs = self._run, {}
        try:
            run.begin(node_id)
            await self._before_node(run)
            inputs = self._inputs(node_id)
            self._done[node_id] = await NODES[self._prompt[node_id]["class_type"]](run, **inputs)
        except Interrupted:
            run.message("execution_interrupted", self._place(node_id), to_all=True)
            return False
        except Exception as error:  # noqa: BLE001 - a node may raise anything, and the server lives on
            run.message("execution_error", {**self._place(node_id), **self._report(error, inputs)})
            return False
        self._show(node_id)
        return True

    def _show(self, node_id: str) -> None:
        ui = self._done[node_id].ui
        if ui is not None:
            self._shown[node_id] = ui
        self._run.finish(node_id, ui)

    def _inputs(self, node_id: str) -> Json:
        """The values that a node gets: its own, and what other nodes made."""
        inputs = known_inputs(self._prompt[node_id], self._run.installation)
        return {name: self._value(value) for name, value in inputs.items()}

    def _value(self, value: Any) -> Any:
        return self._done[value[0]].values[value[1]] if is_link(value) else value

    def _place(self, node_id: str) -> Json:
        class_type = self._prompt[node_id]["class_type"]
        return {"node_id": node_id, "node_type": class_type, "executed": list(self._executed)}

    def _report(self, error: Exception, inputs: Json) -> Json:
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        name = getattr(kind, "reported_as", name)
        return {
            "exception_message": f"{error}\n" + (OUT_OF_MEMORY if isinstance(error, OutOfMemoryError) else ""),
            "exception_type": name,
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {key: [_shown(value)] for key, value in inputs.items()},
            "current_outputs": list(self._prompt),
        }


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _meta(node_id: str) -> Json:
    return {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
