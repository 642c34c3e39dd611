"""Shows the progress of a run: a live panel on a terminal, plain lines elsewhere."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from app.demo.watch import Seen

_LINE_SECONDS = 5.0
_LAST_ROWS = ("rolling back", "stuck", "rolled back", "completed")


class View(AbstractContextManager["View"]):
    """The progress of a run of so many orders: `show` replaces it, `say` adds a line that stays."""

    def __init__(self, console: Console, orders: int) -> None:
        self._console = console
        self._orders = orders
        self._begin = time.monotonic()
        self._last_line = 0.0
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Prints a line that stays, with the seconds since the start."""
        self._console.print(f"{time.monotonic() - self._begin:6.1f} s  {line}", highlight=False, soft_wrap=True)

    def show(self, seen: Seen, placed: int, lag: int, pods: dict[str, bool]) -> None:
        """Shows the current progress: on a terminal at once, elsewhere as a line every 5 s; `pods` maps names to up."""
        if self._live is not None:
            self._live.update(self._panel(seen, placed, lag, pods))
        elif time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            self.say(_line(seen, placed, lag))

    def _panel(self, seen: Seen, placed: int, lag: int, pods: dict[str, bool]) -> Panel:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="dim")
        grid.add_column(justify="right")
        grid.add_column()
        for state in (*sorted(seen.states.keys() - set(_LAST_ROWS)), *_LAST_ROWS):
            count = seen.states.get(state, 0)
            bar = ProgressBar(total=self._orders, completed=count, width=40, complete_style=_colour(state))
            grid.add_row(state, f"{count:,}", bar)
        figures = (
            f"{seen.per_second:,.0f} sagas/s   lag {lag:,}   p50 {seen.p50_ms:,.0f} ms   p99 {seen.p99_ms:,.0f} ms"
        )
        grid.add_row("placed", f"{placed:,}", figures)
        shown = "   ".join(
            f"[{'green' if up else 'bold red'}]{name} {'up' if up else 'killed'}[/]" for name, up in pods.items()
        )
        grid.add_row("pods", "", shown)
        return Panel(
            grid, title=f"order sagas, {time.monotonic() - self._begin:.0f} s", border_style="cyan", expand=False
        )


def _line(seen: Seen, placed: int, lag: int) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(seen.states.items()))
    return (
        f"placed {placed:,}: {states or 'none started'}; {seen.per_second:,.0f} sagas/s, lag {lag:,}, "
        f"p50 {seen.p50_ms:,.0f} ms, p99 {seen.p99_ms:,.0f} ms"
    )


def _colour(state: str) -> str:
    return {"completed": "green", "rolled back": "yellow", "stuck": "red", "rolling back": "magenta"}.get(state, "cyan")
