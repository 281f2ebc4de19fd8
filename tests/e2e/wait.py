"""Waiting: always for a condition, always with a deadline, never for a while and hope."""

import time


class TimedOut(AssertionError):
    pass


def until(condition, timeout=10, what="", every=0.01):
    """Returns the first true value of condition(); says `what` and the last value where none came.

    An exception of the condition counts as "not yet"; a function as `what` is asked at the end.
    """
    deadline = time.monotonic() + timeout
    while True:
        last = None
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, KeyError, IndexError, LookupError, AssertionError) as e:
            last = e
        if time.monotonic() > deadline:
            text = what() if callable(what) else what or getattr(condition, "__name__", "condition")
            raise TimedOut(f"not within {timeout} s: {text} (last: {last!r})")
        time.sleep(every)


def stays(condition, seconds, what=""):
    """The condition must hold all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not stay so for {seconds} s: {what}"
        time.sleep(0.02)
