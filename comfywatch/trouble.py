"""What is the matter with the database: what is said of it, and when it is tried again."""

from __future__ import annotations

from loguru import logger

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
"""Seconds until a database that could not be used is tried again: doubled each time, up to the longest."""


class Trouble:
    """Nothing, as a rule. A passing trouble ends with ``is_over``; a database that was damaged stays worth a word."""

    def __init__(self) -> None:
        self._passing = ""
        self._damage = ""
        self._failures = 0

    def notices(self) -> tuple[str, ...]:
        """What every project is told."""
        passing = f"comfywatch cannot save anything ({self._passing}): nothing is taken or posted until it can"
        damage = f"comfywatch's database {self._damage}; what had not run yet waits for 'comfywatch retry'"
        return (*([passing] if self._passing else []), *([damage] if self._damage else []))

    def cannot_save(self, error: Exception) -> bool:
        """Log it once, and again when it is another thing; whether it was logged."""
        is_new = str(error) != self._passing
        self._passing = str(error)
        if is_new:
            logger.warning(
                "the database cannot be used ({}); nothing is taken or posted until it can; trying again every {} s",
                error,
                LONGEST_PAUSE,
            )
        return is_new

    def was_damaged(self, error: Exception, *, aside: str) -> None:
        """The database was renamed to ``aside``, and an empty one takes its place."""
        logger.error(
            "the database is damaged ({}); it is kept as {}, and what is known is read anew from the project folders "
            "and ComfyUI",
            error,
            aside,
        )
        self._damage = f"was damaged ({error}) and is kept as {aside}"

    def pause(self) -> float:
        """Seconds until the next try."""
        self._failures += 1
        return min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE)

    def is_over(self) -> bool:
        """Something was saved: no trouble any more; true if there was some."""
        was, self._passing, self._failures = self._passing, "", 0
        if was:
            logger.info("the database can be used again")
        return bool(was)
