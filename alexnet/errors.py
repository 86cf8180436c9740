"""The errors of this library. Each message is one sentence that a reader can act on."""


class AlexNetError(Exception):
    """Base of every error that this library raises on purpose."""


class SpecError(AlexNetError, ValueError):
    """A layer, a net or an input shape that cannot be: refused before any framework sees it."""


class WeightsError(AlexNetError, ValueError):
    """Weights that do not fit their net: a missing, extra, misshapen or non-finite array."""


class CheckpointError(AlexNetError, ValueError):
    """A checkpoint that is missing, damaged, of another version, or does not fit its net or its run."""


class DataError(AlexNetError, ValueError):
    """Data files that are missing, damaged or mislabelled, or a batch that cannot be made."""


class BackendError(AlexNetError, RuntimeError):
    """A backend that is unknown, not installed, or cannot do what was asked of it."""


class MissingBackendError(BackendError, ImportError):
    """A framework that is not installed."""


class RunError(AlexNetError, RuntimeError):
    """A run (of ``compare`` or ``train``) that was asked for wrongly or could not be carried out."""


def last_line(error: BaseException) -> str:
    """What another library's error says at its end, where the cause stands; else its kind.

    >>> last_line(ValueError("Traceback:\\n  no such kernel")), last_line(KeyError())
    ('  no such kernel', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
