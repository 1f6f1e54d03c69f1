"""When this machine, at this moment, has too little of something: files, threads, memory. That is no job's fault."""

from __future__ import annotations

import errno
from typing import Final

_SCARCE: Final = (
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS),
    *(errno.ENOSPC, errno.EDQUOT),
)


def is_scarcity(error: BaseException | None) -> bool:
    """Whether an error, itself or by what it came from, says that the system had no more to give."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, OSError) and error.errno in _SCARCE:
            return True
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return True
        error = error.__cause__
    return False
