"""Write the Binder links of README.md and of every notebook from one setting.

    python tools/links.py            rewrite what differs
    python tools/links.py --check    only say what differs; exit status 1 if anything does

The setting is `[project.urls] Source` in pyproject.toml: who forks the course
changes that line and runs `make links`. In the README, each row of the table of
notebooks gets its links, or says that the notebook is still planned.
"""

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote, urlsplit

BADGE = re.compile(r"\[!\[Open in Binder\]\(https://mybinder\.org/badge_logo\.svg\)\]\([^)\s\"]*\)")
CLONE = re.compile(r"git clone \S+")
ROW = re.compile(r"^\| *(\d\d) *\|([^|]*)\|([^|]*)\|[^|]*\|$", re.MULTILINE)


def binder(source: str, notebook: str) -> str:
    """The address that opens a notebook in JupyterLab on Binder.

    >>> binder("https://github.com/ann/course", "00_start_here.ipynb")
    'https://mybinder.org/v2/gh/ann/course/HEAD?labpath=notebooks%2F00_start_here.ipynb'
    """
    url = urlsplit(source)
    path = url.path.strip("/").removesuffix(".git")
    if url.scheme != "https" or not url.netloc or path.count("/") < 1:
        raise ValueError(
            f"Source must be the address of a repository, got {source!r}: "
            "write https://github.com/OWNER/REPOSITORY into [project.urls] of pyproject.toml"
        )
    if url.netloc == "github.com":
        spec = f"gh/{path}"
    elif url.netloc == "gitlab.com":
        spec = f"gl/{quote(path, safe='')}"
    else:
        spec = f"git/{quote(source, safe='')}"
    return f"https://mybinder.org/v2/{spec}/HEAD?labpath={quote(f'notebooks/{notebook}', safe='')}"


def badge(source: str, notebook: str) -> str:
    """The line of Markdown that shows Binder's badge and opens the notebook."""
    return f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder(source, notebook)})"


def linked_readme(text: str, source: str, notebooks: list[str]) -> str:
    """README.md with its badge, its `git clone` and its table of notebooks from `source`."""
    by_number = {name[:2]: name for name in notebooks}

    def row(match: re.Match[str]) -> str:
        number, title, question = (part.strip() for part in match.groups())
        title = re.sub(r"^\[(.*)\]\(.*\)$", r"\1", title)
        name = by_number.get(number)
        if name is None:
            return f"| {number} | {title} | {question} | planned |"
        link = f"[open in Binder]({binder(source, name)})"
        return f"| {number} | [{title}](notebooks/{name}) | {question} | {link} |"

    text = BADGE.sub(lambda _: badge(source, "00_start_here.ipynb"), text)
    text = CLONE.sub(lambda _: f"git clone {source}", text)
    return ROW.sub(row, text)


def linked_notebook(text: str, source: str, name: str) -> str:
    """A notebook's file with the badge in its first Markdown cell; all else byte for byte."""
    notebook = json.loads(text)
    cell = next((c for c in notebook["cells"] if c["cell_type"] == "markdown"), None)
    if cell is None:
        raise ValueError(f"{name} must have a Markdown cell, got none: begin it with a title")
    lines = "".join(cell["source"]).split("\n")
    old = [line for line in lines if BADGE.fullmatch(line)]
    if len(old) > 1:
        raise ValueError(f"{name} must have one badge, got {len(old)}: delete the others")
    if old:
        # A badge holds nothing that JSON escapes, so its text in the file is the badge itself.
        return text.replace(old[0], badge(source, name), 1)
    after_title = next((i + 1 for i, line in enumerate(lines) if line.startswith("# ")), 0)
    lines[after_title:after_title] = (
        ["", badge(source, name)]
        if after_title
        else [
            badge(source, name),
            "",
        ]
    )
    cell["source"] = "\n".join(lines).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def outdated(root: Path) -> dict[Path, str]:
    """The files whose links differ from the setting, with the text they should have."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    source = settings["project"]["urls"]["Source"].rstrip("/")
    notebooks = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    readme = root / "README.md"
    wanted = {
        readme: linked_readme(
            readme.read_text(encoding="utf-8"), source, [path.name for path in notebooks]
        )
    }
    for path in notebooks:
        wanted[path] = linked_notebook(path.read_text(encoding="utf-8"), source, path.name)
    return {p: text for p, text in wanted.items() if text != p.read_text(encoding="utf-8")}


def main() -> int:
    """Rewrite, or only check; the exit status."""
    parser = argparse.ArgumentParser(description="Write the Binder links from pyproject.toml.")
    parser.add_argument("--check", action="store_true", help="only say which files differ")
    check = parser.parse_args().check
    root = Path(__file__).parents[1]
    changes = outdated(root)
    for path, text in changes.items():
        print(path.relative_to(root), "is outdated: make links" if check else "rewritten")
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if check and changes else 0


if __name__ == "__main__":
    sys.exit(main())
