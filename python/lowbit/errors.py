# SPDX-License-Identifier: MIT
"""The exceptions of the package. Their text is the line that the command prints for the same fault."""


class Error(Exception):
    """Base of all. `exit_code` is what the command ends with."""

    exit_code = 4


class MismatchError(Error, AssertionError):
    """A comparison failed."""

    exit_code = 1


class UsageError(Error, ValueError):
    """A request that has no meaning: an unknown name, a pair that does not exist, a wrong shape."""

    exit_code = 2


class InvalidInputError(Error, ValueError):
    """A file or array that cannot be read, is malformed, or holds values that the request refuses."""

    exit_code = 3


class InternalError(Error, RuntimeError):
    """A bug in lowbit."""

    exit_code = 4


class UnavailableError(Error, RuntimeError):
    """Hardware or a tool that is missing, or too old."""

    exit_code = 5
