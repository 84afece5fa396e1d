"""A page in the browser, and what the tests ask of it."""

from typing import Any

DESKTOP, PHONE = (1280, 900), (390, 844)


class Opened:
    """A page that was opened: `tab` is playwright's, `said` the errors and warnings logged, `asked` the addresses that
    it would have loaded beside files."""

    def __init__(self, tab: Any, address: str) -> None:
        self.tab = tab
        self.said: list[str] = []
        self.asked: list[str] = []
        tab.on("console", lambda message: message.type in ("error", "warning") and self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("request", lambda request: self._note(request.url))
        tab.goto(address)
        tab.wait_for_selector("#chart-frontier svg")

    def _note(self, address: str) -> None:
        if not address.startswith(("file:", "data:", "blob:")):
            self.asked.append(address)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that `selector` finds and that are shown."""
        return [one.inner_text().strip() for one in self.tab.query_selector_all(selector) if one.is_visible()]

    def column(self, table: str, heading: str) -> list[str]:
        """A column of a table as it is shown."""
        names = self.texts(f"#table-{table} thead th")
        place = names.index(heading) + 1
        return self.texts(f"#table-{table} tbody tr > :nth-child({place})")

    def marks(self) -> int:
        """How many points the frontier chart draws."""
        return len(self.tab.query_selector_all("#chart-frontier svg .mark-symbol path"))
