"""Return one error family, so that callers can tell what they may fix from what is broken.

Every message says what was expected, what was found, where, and what to do about it.
"""

from __future__ import annotations


class AttuneError(ValueError):
    """An expected failure with a remedy; command lines print it as one line, without a traceback."""


class UsageError(AttuneError):
    """A command was put wrongly: no such job, no partition, an option that the job does not take."""


class ContractViolation(AttuneError):
    """Input does not keep the published contract of its boundary (raw logs, features, vectors)."""


class MissingArtefact(AttuneError):
    """A partition, space, model or snapshot that was asked for does not exist."""


class UnknownConsumer(MissingArtefact):
    """No served snapshot holds vectors of a consumer. The message and `served` name those that are served."""

    def __init__(self, consumer: str, served: list[str], where: str, remedy: str) -> None:
        super().__init__(
            f"expected vectors of consumer {consumer} in what is served, found {', '.join(served) or 'none'} at "
            f"{where}; {remedy}"
        )
        self.served = served


class TransientFailure(AttuneError):
    """The disk, a lock or a server failed, not the input: the same call may succeed later, and may be tried again."""


class SpaceMismatch(AttuneError):
    """Vectors, features or a model of one space met those of another. The message names both."""

    def __init__(self, expected: str, found: str, where: str, remedy: str) -> None:
        super().__init__(f"expected space {expected}, found {found} at {where}; {remedy}")
        self.expected = expected
        self.found = found


class FrameMismatch(SpaceMismatch):
    """A reader's frame is not, or no more, one of those that are served. The message names both."""

    def __init__(self, expected: str, found: str, where: str, remedy: str) -> None:
        AttuneError.__init__(self, f"expected {expected}, found {found} at {where}; {remedy}")
        self.expected = expected
        self.found = found


def require_space(own: str, given: str, model: str) -> None:
    """Raise SpaceMismatch unless the space that a model is given is its own; "" is no space."""
    if given != own:
        raise SpaceMismatch(
            own or "no space", given or "no space", f"the {model} model", "train the model on this space"
        )


class UnknownId(AttuneError):
    """An external user or item id that the snapshot in question does not hold."""
