"""The errors of this library. Each message is one sentence that helps to fix the error."""


class AlexNetError(Exception):
    """The base class of all errors that this library defines."""


class SpecError(AlexNetError, ValueError):
    """An invalid layer, net or input shape. Raised before any framework gets the net."""


class WeightsError(AlexNetError, ValueError):
    """Weights that do not fit their net: an array is missing, extra, not finite, or has a wrong shape."""


class CheckpointError(AlexNetError, ValueError):
    """A checkpoint that is missing, damaged, from another version, or does not match the net or the run."""


class DataError(AlexNetError, ValueError):
    """Data files that are missing, damaged or mislabelled, or batches or data arguments that are wrong."""


class BackendError(AlexNetError, RuntimeError):
    """A backend that is unknown, not installed, or cannot do what was requested."""


class MissingBackendError(BackendError, ImportError):
    """A framework that is not installed."""


class RunError(AlexNetError, RuntimeError):
    """A run (of ``compare`` or ``train``) that has wrong arguments or failed."""


class LostProcessError(RunError):
    """Another process of a data-parallel run ended, or does not answer."""


def last_line(error: BaseException) -> str:
    """Return the last line of another library's error message, which usually gives the cause.

    Return the name of the error's class if the message is empty.

    >>> last_line(ValueError("Traceback:\\n  no such kernel")), last_line(KeyError())
    ('  no such kernel', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
