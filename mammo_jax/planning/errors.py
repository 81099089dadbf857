"""The error of a plan that cannot work."""

from mammo_jax.errors import UserError


class PlanError(UserError):
    """A study that cannot end well; the message says what is missing and what to do."""
