"""What tests may look at and meddle with: the log of received calls, and faults for the next ones."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import count

KEPT_CALLS = 20_000


@dataclass(slots=True)
class ReceivedCall:
    """One call as it arrived, and what became of it. `orders` counts the orders it placed."""

    number: int
    time: int
    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    status: int = 0
    code: int = 0
    acted: bool = False
    orders: int = 0
    fault: int = 0

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(slots=True)
class Fault:
    """A disturbance of the next `remaining` calls that match, `when` before or after the venue acts."""

    number: int
    method: str  # empty: any
    path: str  # a trailing * matches any rest
    remaining: int
    when: str = "before"
    delay_ms: int = 0
    cut: bool = False
    status: int = 0  # zero: the venue's own answer is sent
    code: int = 0
    msg: str = ""
    retry_after: int = 0
    body: str | None = None  # a literal body instead of code and msg
    skip: int = 0  # how many matching calls pass untouched first

    def matches(self, method: str, path: str) -> bool:
        same = path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path
        return same and self.method in ("", method)

    @property
    def answers(self) -> bool:
        return self.status != 0

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(slots=True)
class Traffic:
    """The log and the faults of this process; neither survives a restart."""

    calls: deque[ReceivedCall] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    faults: list[Fault] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def note(self, call: ReceivedCall) -> None:
        self.calls.append(call)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The first fault for that call, spent by one."""
        for fault in self.faults:
            if fault.remaining > 0 and fault.matches(method, path):
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.remaining -= 1
                return fault
        return None


@dataclass(slots=True)
class Counter:
    """Counts per window and per subject, as the venue's used-weight and order-count headers say them."""

    window_ms: int
    limit: int
    window: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, subject: str, amount: int, now: int) -> int:
        """Counts and returns the total in the present window."""
        window = now // self.window_ms
        if window != self.window:
            self.window = window
            self.counts.clear()
        total = self.counts.get(subject, 0) + amount
        self.counts[subject] = total
        return total

    def seconds_left(self, now: int) -> int:
        return max(1, ((now // self.window_ms + 1) * self.window_ms - now + 999) // 1000)
