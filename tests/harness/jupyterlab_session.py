"""A JupyterLab of its own and a headless Chromium on it, as a student would have them.

    with Lab(folder) as lab, lab.open("01_lesson.ipynb") as page:
        page.run_all()

The server gets fresh folders for its settings and data, so that nothing of the
machine's user is read or written.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from notebook_page import PATIENCE, NotebookPage

BROWSER_OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_path() -> str | None:
    """Chromium on this machine, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def why_not() -> str | None:
    """One line that says what is missing, or None where a browser test can run."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no browser test: the package playwright is not installed"
    if browser_path() is None:
        return "no browser test: there is no Chromium on this machine (apt-get install chromium)"
    return None


class Lab:
    """A running JupyterLab on `folder` and a browser; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.home = folder.parent / f"{folder.name}-jupyter"

    def __enter__(self) -> "Lab":
        from playwright.sync_api import sync_playwright

        self._serve()
        try:
            self.wait(lambda: self.api("status"), "the server to answer")
            self._playwright = sync_playwright().start()
            self.browser = self._playwright.chromium.launch(
                executable_path=browser_path(), args=BROWSER_OPTIONS
            )
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.browser.close()
            self._playwright.stop()
        finally:
            self._stop()

    def _serve(self) -> None:
        settings = self.home / "settings" / "@jupyterlab"
        for plugin, values in {
            # Every cell in the page, also those far below what can be seen.
            "notebook-extension/tracker": {"windowingMode": "none"},
            "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        }.items():
            file = settings / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        variables = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        self.environment = os.environ | {k: str(self.home / v) for k, v in variables.items()}
        self.environment |= {"JUPYTER_NO_CONFIG": "1"}
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0"),
            *(f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.folder}"),
            "--LabApp.expose_app_in_browser=True",
        ]
        self._log = (self.home / "server.log").open("w")
        self._server = subprocess.Popen(
            command, env=self.environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    def _stop(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._log.close()

    def wait(self, ready: Any, what: str, patience: float = PATIENCE) -> Any:
        """The first true value of `ready()`; a TimeoutError that says what did not come."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self._server.poll() is not None:
                raise RuntimeError(f"JupyterLab ended:\n{Path(self._log.name).read_text()[-3000:]}")
            if value := ready():
                return value
            time.sleep(0.1)
        raise TimeoutError(f"waited {patience:.0f} s for {what}")

    def api(self, path: str) -> Any:
        """The server's answer, or None while it does not answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            headers={"Authorization": f"token {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def trust(self, name: str) -> None:
        """Sign a notebook, as saving it does: a trusted one shows its richest output."""
        subprocess.run(
            [sys.executable, "-m", "jupyter", "trust", str(self.folder / name)],
            env=self.environment,
            check=True,
            capture_output=True,
        )

    @contextmanager
    def open(self, name: str, mode: str = "doc") -> Iterator[NotebookPage]:
        """A notebook in a page of its own; in mode "lab" beside others, each with its tab."""
        page = self.browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE * 1000)
        try:
            page.goto(f"http://127.0.0.1:{self.port}/{mode}/tree/{name}?token={self.token}")
            yield NotebookPage(self, page, name)
        finally:
            page.close()
