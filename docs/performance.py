#!/usr/bin/env python3
"""Fills docs/performance.md from what "make bench" kept, and draws
docs/performance-growth.svg.

    apt-get install python3-matplotlib
    make bench
    python3 docs/performance.py [directory]

The directory is test/bench/results unless given.  Between "<!-- results NAME
-->" and "<!-- end -->" stands what this writes from NAME.json (NAME may be
followed by ": " and a measure of it), of "machine" where it was measured, of
"goals" what has become of all goals.  No number there is typed by hand.
"""
import json
import pathlib
import re
import sys

here = pathlib.Path(__file__).resolve().parent
results = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "test/bench/results"
found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(results.glob("*.json"))}


def digits(number, least=3):
    """At least so many significant digits, the integer part in full."""
    whole = len(str(int(abs(number))))
    if number == int(number):
        return f"{number:,.0f}"
    return f"{number:,.{max(0, least - whole)}f}" if abs(number) >= 1 else f"{number:.{least}g}"


def cells(*values):
    return "| " + " | ".join(values) + " |"


def goal_of(row):
    sign, unit = row["goal_is"].split(" ", 1)
    return f"{sign} {row['goal']:g} {unit}"


def verdict(row):
    return "" if "met" not in row else "met" if row["met"] else "**missed**"


def table(rows):
    """One measure: the columns that it has something for."""
    columns = [("", lambda r: r["what"]),
               ("ms", lambda r: digits(r["seconds"] * 1000)),
               ("from – to", lambda r: f"{digits(r['least'] * 1000)} – {digits(r['most'] * 1000)}" if r["turns"] > 1 else ""),
               ("×", lambda r: digits(r["ratio"]) if "ratio" in r else ""),
               ("from – to", lambda r: f"{digits(r['ratio_least'])} – {digits(r['ratio_most'])}" if "ratio" in r and r["turns"] > 1 else ""),
               ("× cpu", lambda r: digits(r["cpu_ratio"]) if "cpu_ratio" in r else ""),
               ("µs each", lambda r: digits(r["us_each"]) if "us_each" in r else ""),
               ("µs each, beyond", lambda r: digits(r["us_beyond"]) if "us_beyond" in r and "baseline" in r else ""),
               ("goal", lambda r: goal_of(r) if "goal" in r else ""),
               ("", verdict)]
    shown = [(name, [value(row) for row in rows]) for name, value in columns]
    if any(row.get("us_beyond", 0) < 0 for row in rows):    # of another size: no difference
        shown = [(name, values) for name, values in shown if name != "µs each, beyond"]
    shown = [(name, values) for name, values in shown if any(values)]
    return "\n".join([cells(*(name for name, _ in shown)), "|---|" + "---:|" * (len(shown) - 1)]
                     + [cells(*line) for line in zip(*(values for _, values in shown))])


def beside(measures):
    """Measures with the same alternatives, one line each: ms, and × of the first."""
    names = [row["what"] for row in next(iter(measures.values()))]
    lines = [cells("ms", *names), "|---|" + "---:|" * len(names)]
    for measure, rows in measures.items():
        of = {row["what"]: row for row in rows}
        lines.append(cells(measure, *(digits(of[name]["seconds"] * 1000) +
                                      (f" (× {digits(of[name]['ratio'])})" if of[name].get("baseline") not in (None, name) else "")
                                      for name in names)))
    return "\n".join(lines)


def value_of(figure):
    value = digits(figure["value"]) if figure.get("value") is not None else ""
    return f"{value} {figure.get('unit', '')}".strip()


def is_nothing(row):
    """Failures and losses that there were none of: counted, not listed."""
    return row.get("goal") == "0" and row.get("value") == 0


def figures(rows):
    return "\n".join([cells("", "", "goal", ""), "|---|---:|---:|---|"]
                     + [cells(r["what"], value_of(r), r.get("goal", ""), verdict(r)) for r in rows])


def benchmark(name, only=None):
    measures = {}
    for row in found[name].get("times") or []:
        measures.setdefault(row["measure"], []).append(row)
    measures = {measure: sorted(rows, key=lambda r: r["n"]) for measure, rows in measures.items()}
    if len(measures) > 12 and name == "load":
        parts = [(name, beside(measures))]
    else:
        parts = [(measure, table(rows)) for measure, rows in measures.items()]
    measures = {}
    nothing = 0
    for row in found[name].get("figures") or []:
        if is_nothing(row):
            nothing += 1
        else:
            measures.setdefault(row["measure"], []).append(row)
    parts += [(measure, figures(rows)) for measure, rows in measures.items()]
    if nothing > 1:
        parts.append((name, f"Counts of failures and losses that must be 0 and are: {nothing}."))
    if only:
        return "\n\n".join(text for measure, text in parts if measure == only)
    return "\n\n".join(f"*{measure}*\n\n{text}" if measure != name else text for measure, text in parts)


def machine():
    facts = {(f["machine"], f["cores"], f["server"], f["quick"]) for f in found.values()}
    return "\n".join(f"PostgreSQL {server} on {cores} cores of {cpu}" + (", small data (`QUICK=1`)." if quick else ".")
                     for cpu, cores, server, quick in sorted(facts))


def goals():
    lines = [cells("", "", "goal", "measured", ""), "|---|---|---:|---:|---|"]
    for name, data in found.items():
        for row in data.get("times") or []:
            if "goal" in row:
                lines.append(cells(name, f"{row['measure']}, {row['what']}" if row["measure"] != name else row["what"], goal_of(row),
                                   digits(row["have"]) + " " + row["goal_is"].split(" ", 1)[1], verdict(row)))
        nothing = [row for row in data.get("figures") or [] if is_nothing(row)]
        if nothing:
            lines.append(cells(name, "counts of failures and losses that must be 0", "0", f"{len(nothing)} of them 0", "met"))
        for row in data.get("figures") or []:
            if "goal" in row and not is_nothing(row):
                lines.append(cells(name, f"{row['measure']}, {row['what']}", row["goal"], value_of(row), verdict(row)))
    return "\n".join(lines)


def fill(match):
    name, _, measure = match[1].partition(": ")
    if name in ("machine", "goals"):
        text = globals()[name]()
    elif name in found:
        text = benchmark(name, measure)
    else:
        return match[0]                 # not measured this time: what stands there stays
    return f"<!-- results {match[1]} -->\n{text}\n<!-- end -->"


def draw(rows):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({
        "svg.fonttype": "none",             # text stays text
        "svg.hashsalt": "lead_qualify",     # the same file every time
        "font.family": "sans-serif",
        "font.size": 11,
    })
    from matplotlib import pyplot

    colours = ("#1f6feb", "#c2410c", "#15803d", "#7c3aed")
    ink = "#24292f"
    panels = (("recompute", "Computing anew, µs an activity", "number of the one that grows"),
              ("insert", "Inserting, µs a row", "number of the one that grows"),
              ("", "Reports, µs a row of history", "rows of history"))
    figure, several = pyplot.subplots(1, 3, figsize=(12, 4.6))
    for axes, (kind, title, number) in zip(several, panels):
        lines = {}
        for row in rows:
            axis, _, measure = row["measure"].rpartition(", ")
            if kind == measure or not kind and axis == "rows of history":
                lines.setdefault(axis if kind else measure, []).append((float(row["what"]), row["us_each"]))
        for (label, points), colour in zip(sorted(lines.items()), colours):
            axes.loglog(*zip(*sorted(points)), "o-", color=colour, label=label, linewidth=1.8, markersize=5)
        low, high = axes.get_ylim()
        middle = (low * high) ** 0.5
        axes.set_ylim(min(low, middle / 20), max(high, middle * 40))
        axes.set_title(title, loc="left", color=ink, fontsize=11, fontweight="bold")
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_formatter(lambda value, _: f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}")
            side.set_minor_formatter(lambda value, _: "")
        axes.grid(color="#e5e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", length=0, colors=ink)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_xlabel(number, color=ink)
        axes.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=ink)
    figure.suptitle("A level line is linear: ten times the data, ten times the time", x=0.01, ha="left", color=ink, fontsize=13, fontweight="bold")
    figure.tight_layout()
    figure.savefig(here / "performance-growth.svg", facecolor="white",
                   metadata={"Date": None, "Creator": None, "Title": "How cost grows",
                             "Description": "\n".join(f"{r['measure']} {r['what']}: {r['us_each']} µs" for r in rows)})


page = here / "performance.md"
text = page.read_text("utf-8")
page.write_text(re.sub(r"<!-- results (.*?) -->\n.*?<!-- end -->", fill, text, flags=re.S), "utf-8")
if "growth" in found:
    draw(found["growth"]["times"])
