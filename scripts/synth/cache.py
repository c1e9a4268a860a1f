# SPDX-License-Identifier: MIT
"""What finished results are kept under, and how files are written so that a reader never sees half of one."""
import contextlib
import fcntl
import hashlib
import os
import tempfile


def digest(*parts):
    """Hash of strings and of the contents of files."""
    h = hashlib.sha256()
    for p in parts:
        if os.path.isfile(p):
            with open(p, "rb") as f:
                h.update(f.read())
        else:
            h.update(p.encode())
        h.update(b"\0")
    return h.hexdigest()[:24]


def atomically(path, text):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=os.path.dirname(path), delete=False) as f:
        f.write(text)
    # The temporary file is private to its owner; the result has the permissions of any other new file.
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(f.name, 0o666 & ~mask)
    os.replace(f.name, path)


@contextlib.contextmanager
def locked(folder):
    """The folder, to this process alone: two reports with one cache do not write into each other's work."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield folder
