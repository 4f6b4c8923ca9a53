"""A notebook, and an interactive figure, in a browser."""

import time
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds to wait for anything before it counts as stuck


class NotebookPage:
    """One notebook in the browser."""

    def __init__(self, lab: Any, page: Any, name: str) -> None:
        self.lab, self.page, self.name = lab, page, name
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.wait_for_function("!document.querySelector('.jp-Notebook .jp-mod-loading')")

    def wait_for_kernel(self) -> None:
        """Until the kernel is idle with this page connected and the toolbar names it."""

        def idle() -> bool:
            kernels = [
                session["kernel"]
                for session in self.lab.api("sessions") or []
                if session["path"] == self.name
            ]
            return any(k["execution_state"] == "idle" and k["connections"] > 0 for k in kernels)

        self.lab.wait(idle, "the kernel to be idle")
        self.page.wait_for_function(
            "document.querySelector('.jp-Toolbar-kernelName')?.innerText.includes('Python 3')"
        )

    def run_all(self, patience: float = PATIENCE) -> None:
        """Run every cell and wait for the last one."""
        self.wait_for_kernel()
        self.page.set_default_timeout(patience * 1000)
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(
            "![...document.querySelectorAll('.jp-InputPrompt')].some("
            "p => p.innerText.includes('*'))"
        )

    def text(self) -> str:
        """Everything that can be read in the notebook."""
        return str(self.page.inner_text(".jp-Notebook"))

    def pictures(self, awaited: int) -> int:
        """The number of pictures in the outputs that are drawn, given time to become so many."""
        drawn = -1
        for _ in range(60):
            drawn = self.page.evaluate(
                "[...document.querySelectorAll('.jp-OutputArea-output img')]"
                ".filter(i => i.complete && i.naturalWidth > 0).length"
            )
            if drawn == awaited:
                break
            self.page.wait_for_timeout(250)
        return int(drawn)

    def folded_outputs(self) -> int:
        """The number of outputs that are folded away."""
        return int(self.page.locator(".jp-Notebook .jp-OutputPlaceholder").count())

    def errors(self) -> list[str]:
        """What the outputs show of tracebacks and standard error."""
        outputs = self.page.locator(
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], '
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
        )
        return [str(text) for text in outputs.all_inner_texts()]

    def explorers(self) -> "list[ExplorerOnPage]":
        """The interactive figures of the notebook."""
        boxes = self.page.locator(".jp-OutputArea-output .widget-vbox:has(> img.widget-image)")
        return [ExplorerOnPage(self.page, boxes.nth(i)) for i in range(boxes.count())]

    def follow(self, link: str) -> None:
        """Click on a link in an output."""
        found = self.page.locator(f".jp-OutputArea-output {link}").first
        found.scroll_into_view_if_needed()
        found.click()

    def show_tab(self, title: str) -> None:
        """Go to another notebook that is open."""
        self.page.locator(".lm-TabBar-tab", has_text=title).first.click()
        self.page.wait_for_timeout(1000)

    def cells_in_view(self) -> list[str]:
        """The texts of the cells that can be seen without scrolling."""
        texts = self.page.evaluate(
            "[...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell')]"
            ".filter(c => { const r = c.getBoundingClientRect();"
            " return r.height > 0 && r.bottom > 0 && r.top < innerHeight; })"
            ".map(c => c.innerText)"
        )
        return [str(text) for text in texts]

    def screenshot(self, file: Path) -> None:
        """A picture of the notebook from its head to its end."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(file))


class ExplorerOnPage:
    """One interactive figure in the browser."""

    def __init__(self, page: Any, box: Any) -> None:
        self.page, self.box = page, box
        self.image = box.locator("> img.widget-image")
        self.sliders = box.locator(".noUi-handle")
        self.menus = box.locator("select")

    def picture(self) -> str:
        """The picture's own bytes (an address alone changes with every redraw)."""
        return str(
            self.image.evaluate(
                "async i => [...new Uint8Array(await crypto.subtle.digest('SHA-256',"
                " await (await fetch(i.src)).arrayBuffer()))].join()"
            )
        )

    def turn(self, handle: Any) -> None:
        """Move a slider by one step with the keyboard: up, or down from its upper end."""
        handle.scroll_into_view_if_needed()
        now, most = (handle.get_attribute(f"aria-value{name}") for name in ("now", "max"))
        handle.focus()
        handle.press("ArrowLeft" if float(now) >= float(most) else "ArrowRight")

    def choose(self, menu: Any) -> None:
        """Take the next option of a list."""
        count = menu.locator("option").count()
        menu.select_option(index=(menu.evaluate("m => m.selectedIndex") + 1) % count)

    def changed_by(self, move: Any, knob: Any, patience: float = 10.0) -> bool:
        """Whether the picture is another one soon after a knob was moved."""
        before, end = self.picture(), time.monotonic() + patience
        move(knob)
        while time.monotonic() < end:
            if self.picture() != before:
                return True
            self.page.wait_for_timeout(50)
        return False
