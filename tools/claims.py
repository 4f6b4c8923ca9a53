"""Write the ledger of claims into the README.

python tools/claims.py            rewrite the table between the markers
python tools/claims.py --check    only say whether it is up to date
"""

import argparse
import sys
from pathlib import Path

from d2lstab.course import claims

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


def with_table(text: str) -> str:
    """The README's text with today's table between the markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the README must hold {BEGIN} and {END} once each: put them back")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{claims.table()}\n{END}{tail}"


def main() -> int:
    """Rewrite or check; the exit status is 1 where the check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    stored = README.read_text(encoding="utf-8")
    fresh = with_table(stored)
    if options.check and fresh != stored:
        print("README.md: the table of claims is out of date: run python tools/claims.py")
        return 1
    if fresh != stored:
        README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
