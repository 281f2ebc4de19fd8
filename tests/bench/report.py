"""Figures beside their targets: as text, as JSON, and as a page of the manual."""

import glob
import json
import operator
import os
import platform
import re
import subprocess
from pathlib import Path

from subject import WAYMARK

COMPARE = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, "==": operator.eq}


class Report:
    """Sections of rows; a row is a figure with its unit and, where there is one, its target.

    A section with sizes has rows of two figures and their ratio."""

    def __init__(self):
        self.sections = []

    def section(self, key, title, text, sizes=None):
        """sizes: what the two figures of each row are of, ("100 projects", "10,000 projects")."""
        section = {"key": key, "title": title, "text": text, "rows": []}
        self.sections.append({**section, "sizes": sizes} if sizes else section)
        print(f"\n{title}", flush=True)

    def row(self, what, value, unit="", target=None):
        """target: ("<", 1.0), or None where the figure is there to be known."""
        row = {"what": what, "value": value, "unit": unit, "target": None, "met": None}
        if target:
            row["target"] = f"{target[0]} {target[1]:g}"
            row["met"] = bool(COMPARE[target[0]](value, target[1]))
        self.sections[-1]["rows"].append(row)
        print("  " + " ".join(row_cells(row)), flush=True)

    def pair(self, what, few, many, unit="", target=None, each=None):
        """target: of the ratio many : few; each: of both figures."""
        ratio = many / few if few else None
        row = {"what": what, "few": few, "many": many, "value": ratio, "unit": unit,
               "target": None, "met": None}  # fmt: skip
        if target:
            row["target"] = f"{target[0]} {target[1]:g} : 1"
            row["met"] = ratio is not None and bool(COMPARE[target[0]](ratio, target[1]))
        elif each:
            row["target"] = f"{each[0]} {each[1]:g}"
            row["met"] = all(bool(COMPARE[each[0]](value, each[1])) for value in (few, many))
        self.sections[-1]["rows"].append(row)
        print("  " + " | ".join(row_cells(row)), flush=True)

    def missed(self):
        return [r for s in self.sections for r in s["rows"] if r["met"] is False]

    def json(self):
        return json.dumps({"machine": machine(), "sections": self.sections}, indent=1) + "\n"

    def markdown(self):
        lines = [
            "# Benchmarks", "",
            "Made by `make bench` (tests/bench/README.md says what is measured how); do not edit.",
            "Times are of one machine, and of one run on it.", "",
            "| the machine | |", "|---|---|",
            *(f"| {name} | {value} |" for name, value in machine().items()),
        ]  # fmt: skip
        for section in self.sections:
            lines += ["", f"## {section['title']}", "", section["text"], ""]
            if section.get("sizes"):
                few, many = section["sizes"]
                lines += [f"| figure | {few} | {many} | ratio | target | |",
                          "|---|---:|---:|---:|---:|---|"]  # fmt: skip
            else:
                lines += ["| figure | measured | target | |", "|---|---:|---:|---|"]
            for row in section["rows"]:
                lines.append("| " + " | ".join(row_cells(row)) + " |")
        return "\n".join(lines) + "\n"


def number(value):
    if isinstance(value, str):
        return value
    if isinstance(value, int) or float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def row_cells(row):
    unit = f" {row['unit']}" if row["unit"] else ""
    met = {None: "", True: "met", False: "missed"}[row["met"]]
    if "many" in row:
        ratio = "" if row["value"] is None else number(row["value"])
        figures = [number(row[size]) + unit for size in ("few", "many")]
        return [row["what"], *figures, ratio, row["target"] or "", met]
    target = f"{row['target']}{unit}" if row["target"] else ""
    return [row["what"], number(row["value"]) + unit, target, met]


def first_line(*command):
    """What a program says of its version, or that it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "not installed"
    return (done.stdout or done.stderr).splitlines()[0].strip()


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": f"{len(os.sched_getaffinity(0))} × {cpu.group(1) if cpu else 'unknown'}",
        "memory": f"{int(memory.group(1)) / 1024 / 1024:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": first_line("gcc", "--version"),
        "waymark": first_line(str(WAYMARK), "version"),
        "go": first_line("go", "version"),
        "caddy": first_line("caddy", "version"),
        "wrk": first_line("wrk", "-v").split(" Copyright")[0],
        "postgresql": first_line(
            *(glob.glob("/usr/lib/postgresql/15/bin/postgres") or ["postgres"]), "--version"),
    }
