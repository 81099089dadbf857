"""A study in Python: `mammo_jax.Study`."""

from __future__ import annotations

from typing import Any

from mammo_jax.api.run import Run
from mammo_jax.api.settings import SettingError, flags_of, parsed, signature_of
from mammo_jax.api.workers import workers_without_main
from mammo_jax.jobs.config import StudyConfig, parse
from mammo_jax.jobs.study import start_study
from mammo_jax.runtime import set_up
from mammo_jax.sources.folder import Folder


class Study:
    """A study: images, ratios, training, statistics. The same as ``mammo-jax study``, setting for flag.

    Parameters
    ----------
    **settings
        The flags of ``mammo-jax study`` by their names, with underscores: `mammo_jax.jobs.config.StudyConfig` and the
        classes in it describe each with its default. What is not given comes from the preset of the source and unit.
        ``source`` is a name, or a `mammo_jax.sources.Folder`, whose table and options are then taken.

    Attributes
    ----------
    config : StudyConfig
        All settings.

    Raises
    ------
    SettingError
        There is no such setting, or it cannot have this value.

    Examples
    --------
    >>> import mammo_jax as mj
    >>> study = mj.Study(images=64, ratios=(100, 1000), out="runs/small")
    >>> study.config.folds
    5
    """

    __signature__ = signature_of(StudyConfig)

    def __init__(self, **settings: Any):
        self._flags = flags_of(StudyConfig, _with_source(settings))
        self.config = parsed(parse, self._flags)

    def __repr__(self) -> str:
        """Return the command that makes the same run."""
        return f"Study({' '.join(self._flags)})"

    def run(self) -> Run:
        """Run every stage that is not done yet, and print the verdict; a finished study is only opened.

        As the job does, this sets the process up for training, see `mammo_jax.runtime`; JAX takes over what it has not
        begun to use. Interrupted, the study goes on where it was when it is run again.

        Returns
        -------
        Run

        Raises
        ------
        UserError
            The images, the settings or the run folder cannot be used.
        """
        set_up(networks=True)
        with workers_without_main():
            start_study(self.config, self._flags)
        return Run(self.config.out)


def _with_source(settings: dict[str, Any]) -> dict[str, Any]:
    """Write a source that was given as an object as the settings that open it."""
    source = settings.get("source", "phantom")
    if isinstance(source, str):
        return settings
    if not isinstance(source, Folder):
        raise SettingError(f"source: {type(source).__name__} is neither a name nor a mammo_jax.sources.Folder")
    options = {"source": "folder", "source_dir": source.csv_path, "frames": source.frames}
    options |= {"bits_stored": source.bits_stored, "plain_ids": source.plain_ids, "id_key": source.id_key}
    if twice := sorted(options.keys() & settings.keys() - {"source"}):
        raise SettingError(f"{twice[0]}: the source has it; leave it out of the study")
    return settings | options
