# SPDX-License-Identifier: MIT
"""A progress bar on standard error, where that is a terminal: what is done, for how long, what runs."""
import shutil
import sys
import time


class Progress:
    def __init__(self, mode, total):
        self.shown = mode == "auto" and sys.stderr.isatty()
        self.total, self.begun = total, time.time()

    def show(self, done, running):
        if not self.shown:
            return
        bar = "#" * (20 * done // self.total)
        line = f"[{bar:<20}] {done}/{self.total}  {time.time() - self.begun:.0f} s  " + ", ".join(running)
        print("\r" + line[:shutil.get_terminal_size().columns - 1] + "\033[K", end="", file=sys.stderr, flush=True)

    def clear(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
