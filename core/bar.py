"""Progress of an analysis that somebody waits for in a notebook or a terminal."""

from core.analyses.runs import Silent


class Bar(Silent):
    """A progress bar that appears when the work takes longer than a second."""

    def __init__(self, name: str) -> None:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]  # decides between the two

        self._bar = tqdm(total=100, desc=name, delay=1.0, leave=False)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def step(self, share: float, note: str = "") -> None:
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(round(100 * share) - self._bar.n)
