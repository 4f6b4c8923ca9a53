"""The ledger: what the lecture notes claim, and where the course meets each claim."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.resources import files

__all__ = ["Claim", "Ledger", "claims"]

VERDICTS = ("wrong", "imprecise", "holds", "editorial")


@dataclass(frozen=True, slots=True)
class Claim:
    """One entry of the ledger."""

    id: str  # "E3" for an erratum, "H2.4" for a claim that holds
    source: str  # "notes 001", "lecture slide", "lecture, spoken": whose claim it is
    claim: str  # what they say, in our words
    verdict: str  # one of `VERDICTS`
    finding: str  # what is right instead, or what holds
    number: str  # the figure that decides it, with its meaning
    notebook: str  # the notebook's name without its suffix
    cell: str  # the id of the cell that runs the comparison
    also: tuple[str, ...] = ()  # further cells whose comparisons the finding and number rest on

    @property
    def link(self) -> str:
        """The cell's address beside the other notebooks, as JupyterLab understands it."""
        return f"{self.notebook}.ipynb#cell-id={self.cell}"


def _number(claim: Claim) -> tuple[str, tuple[int, ...]]:
    digits = claim.id[1:].replace(".", " ").split()
    return claim.id[0], tuple(int(d) for d in digits if d.isdigit())


def _claims(name: str, text: str) -> list[Claim]:
    stored = tomllib.loads(text)
    wanted = {field.name for field in fields(Claim)} - {"notebook", "also"}
    found = []
    for row in stored.get("claim", []):
        also = tuple(row.pop("also", ()))
        if row.keys() != wanted or "notebook" not in stored:
            raise ValueError(
                f"{name} must name its notebook, and each claim {', '.join(sorted(wanted))} "
                f"(and may name also), got {', '.join(sorted(row))} in {row.get('id', 'a claim')}"
            )
        found.append(Claim(notebook=stored["notebook"], also=also, **row))
    return found


class Ledger(Mapping[str, Claim]):
    """All entries by id, read from the data files when they are first asked for."""

    @cached_property
    def _entries(self) -> dict[str, Claim]:
        entries: list[Claim] = []
        folder = files("d2lstab.course").joinpath("ledger_entries")
        for file in sorted(folder.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".toml"):
                entries += _claims(file.name, file.read_text(encoding="utf-8"))
        entries.sort(key=_number)
        twice = sorted(id for id, n in Counter(claim.id for claim in entries).items() if n > 1)
        if twice:
            raise ValueError(
                f"the ledger's ids must be unique, got {', '.join(twice)} twice: rename one"
            )
        return {claim.id: claim for claim in entries}

    def __getitem__(self, id: str) -> Claim:
        return self._entries[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return "Ledger of the lecture notes' claims"

    def _repr_markdown_(self) -> str:
        """What a notebook of the course shows of `claims`: the table, its links leading on."""
        return self.table("")

    def table(self, folder: str = "notebooks/") -> str:
        """The ledger as a Markdown table; `folder` leads from the page to the notebooks."""
        rows = [
            "| | they say | verdict | what we found | the number | where |",
            "|---|---|---|---|---|---|",
        ]
        for c in self.values():
            where = f"[{c.notebook[:2]}]({folder}{c.link})"
            rows.append(
                f"| {c.id} | {c.claim} ({c.source}) | {c.verdict} | {c.finding} "
                f"| {c.number} | {where} |"
            )
        return "\n".join(rows)


claims = Ledger()
