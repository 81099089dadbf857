"""`mammo-jax completion bash|zsh|fish`: a script by which the shell completes jobs, flags and their values."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from mammo_jax.jobs.catalogue import JOBS
from mammo_jax.jobs.flags import Flag
from mammo_jax.jobs.help import all_flags, stored_flags

SHELLS = {
    "bash": 'eval "$(mammo-jax completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(mammo-jax completion zsh)" in ~/.zshrc, below compinit',
    "fish": "mammo-jax completion fish > ~/.config/fish/completions/mammo-jax.fish",
}
"""Each shell, and how to have its script read at every start."""


def completion_script(shell: str) -> str:
    """Return the script of a shell among `SHELLS`."""
    flags = {job: all_flags(job, stored_flags().groups(job)) for job in JOBS}
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](flags)
    return "\n".join([f"# {SHELLS[shell]}", *lines])


def _names(flags: list[Flag]) -> list[str]:
    return [name for flag in flags for name in flag.names if name.startswith("-")]


def _chosen(flags: Mapping[str, list[Flag]]) -> Iterator[tuple[str, str]]:
    """Yield "job:--flag|job:--other-name" and the values, of flags that have only a few."""
    for job, of_job in flags.items():
        for flag in of_job:
            if flag.choices:
                yield "|".join(f"{job}:{name}" for name in flag.names), " ".join(flag.choices)


def _bash(flags: Mapping[str, list[Flag]]) -> Iterator[str]:
    yield "_mammo_jax() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""'
    yield '  if [ "$COMP_CWORD" -eq 1 ]; then'
    yield f'    COMPREPLY=($(compgen -W "{" ".join(flags)} completion --help --version" -- "$word")); return; fi'
    yield '  case "${COMP_WORDS[1]}:$before" in'
    for pattern, values in [*_chosen(flags), ("completion:*", " ".join(SHELLS))]:
        yield f'    {pattern}) COMPREPLY=($(compgen -W "{values}" -- "$word")); return;;'
    yield "  esac"
    yield '  case "${COMP_WORDS[1]}" in'
    yield from (f'    {job}) words="{" ".join(_names(of_job))}";;' for job, of_job in flags.items())
    yield "  esac"
    yield '  case "$word" in'
    yield '    -*) COMPREPLY=($(compgen -W "$words" -- "$word"));;'
    yield '    *) COMPREPLY=($(compgen -f -- "$word"));;'
    yield "  esac"
    yield "}"
    yield "complete -o filenames -F _mammo_jax mammo-jax"


def _zsh(flags: Mapping[str, list[Flag]]) -> Iterator[str]:
    yield "_mammo_jax() {"
    yield "  local -a found"
    jobs = " ".join(_described(job, JOBS[job].text) for job in flags)
    yield f"  if (( CURRENT == 2 )); then found=({jobs}); _describe job found; return; fi"
    yield '  case "$words[2]:$words[CURRENT-1]" in'
    yield from (f"    {pattern}) compadd -- {values}; return;;" for pattern, values in _chosen(flags))
    yield f"    completion:*) compadd -- {' '.join(SHELLS)}; return;;"
    yield "  esac"
    yield '  if [[ "$words[CURRENT]" != -* ]]; then _files; return; fi'
    yield '  case "$words[2]" in'
    for job, of_job in flags.items():
        texts = " ".join(_described(name, flag.text) for flag in of_job for name in flag.names if name.startswith("-"))
        yield f"    {job}) found=({texts});;"
    yield "  esac"
    yield "  _describe flag found"
    yield "}"
    yield "compdef _mammo_jax mammo-jax"


def _described(name: str, text: str) -> str:
    return shlex.quote(f"{name}:{_first_sentence(text)}")


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".")


def _fish(flags: Mapping[str, list[Flag]]) -> Iterator[str]:
    for job in flags:
        yield f"complete -c mammo-jax -n __fish_use_subcommand -f -a {job} -d {_quoted(JOBS[job].text)}"
    yield f"complete -c mammo-jax -n '__fish_seen_subcommand_from completion' -f -a '{' '.join(SHELLS)}'"
    for job, of_job in flags.items():
        for flag in of_job:
            values = f" -x -a '{' '.join(flag.choices)}'" if flag.choices else " -r" if flag.values else ""
            for name in flag.names:
                if name.startswith("--"):
                    text = _quoted(_first_sentence(flag.text))
                    condition = f"'__fish_seen_subcommand_from {job}'"
                    yield f"complete -c mammo-jax -n {condition} -l {name[2:]}{values} -d {text}"


def _quoted(text: str) -> str:
    """In single quotes, in which fish knows backslashes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
