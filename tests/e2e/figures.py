"""Figures that tests measure: printed at once, and kept for tests/SOAK.md.

Each row is one JSON object in $WAYMARK_FIGURES; tests/run makes the report from it.
"""

import json
import os


def note(table, row, **values):
    print(f"\nfigure: {table}: {row}: " + ", ".join(f"{k} {v}" for k, v in values.items()))
    path = os.environ.get("WAYMARK_FIGURES")
    if path:
        with open(path, "a") as f:
            f.write(json.dumps({"table": table, "row": row, "values": values}) + "\n")


def percentile(values, p):
    """Of the sorted values the one at p (0 to 1); the highest for p99 of less than 100."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(p * len(ranked)))]


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"


def report(rows):
    """The tables as Markdown, in the order in which they came."""
    tables = {}
    for r in rows:
        tables.setdefault(r["table"], []).append(r)
    out = []
    for title, members in tables.items():
        columns = []
        for m in members:
            columns += [c for c in m["values"] if c not in columns]
        out += [f"## {title}", "", "| | " + " | ".join(columns) + " |"]
        out.append("|---" * (len(columns) + 1) + "|")
        for m in members:
            cells = (str(m["values"].get(c, "")) for c in columns)
            out.append(f"| {m['row']} | " + " | ".join(cells) + " |")
        out.append("")
    return "\n".join(out)
