#!/usr/bin/env python3
"""Draws docs/conversion.svg from the first table of docs/conversion.md.

    apt-get install python3-matplotlib
    python3 docs/conversion.py

The picture has no numbers of its own: test/t/029_conversion_doc.pl sees to it
that the table is what the product says, and that the picture, which keeps the
rows it was drawn from in its description, was drawn from that table.
"""
import pathlib
import re

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.fonttype": "none",             # text stays text
    "svg.hashsalt": "lead_qualify",     # the same file every time
    "font.family": "sans-serif",
    "font.size": 11,
})
from matplotlib import pyplot

GREY, BLUE, RED, INK = "#c3c9d1", "#1f6feb", "#c2410c", "#24292f"

here = pathlib.Path(__file__).resolve().parent
rows = re.findall(r"^ \d{4}-\d\d \|.*$", (here / "conversion.md").read_text("utf-8")
                  .split("came true", 2)[2].split("```")[0], re.M)


def percent(cell):
    """The numbers in a cell such as ' 9.5 – 15.2 %'."""
    return [float(n) for n in re.findall(r"[\d.]+", cell)]


months, so_far, expected, low, high, true = [], [], [], [], [], []
for row in rows:
    cells = row.split("|")
    months.append(cells[0].strip())
    so_far += percent(cells[3])
    expected += percent(cells[7])
    low.append(percent(cells[8])[0])
    high.append(percent(cells[8])[1])
    true += percent(cells[9])

x = range(len(months))
young = [i for i in x if high[i] > low[i]]

figure, axes = pyplot.subplots(figsize=(9, 4.8))
bars = axes.bar(x, so_far, width=0.62, color=GREY, label="converted ÷ entered on 1 October")
axes.errorbar([i - 0.12 for i in young], [expected[i] for i in young],
              yerr=[[expected[i] - low[i] for i in young], [high[i] - expected[i] for i in young]],
              fmt="none", ecolor=BLUE, elinewidth=1.8, capsize=5)
axes.plot([i - 0.12 if i in young else i for i in x], expected, "o", color=BLUE, markersize=7,
          label="expected_rate on 1 October, with its 95 % prediction interval")
axes.plot([i + 0.12 for i in young], [true[i] for i in young], "D", markerfacecolor="white",
          markeredgecolor=RED, markeredgewidth=1.8, markersize=7, label="what it was once 90 days had passed")

axes.set_xticks(list(x), months)
axes.set_ylim(0, 18.5)
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
axes.yaxis.set_major_locator(matplotlib.ticker.MultipleLocator(5))
axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
axes.set_axisbelow(True)
axes.tick_params(length=0, colors=INK)
for side in ("top", "right", "left"):
    axes.spines[side].set_visible(False)
axes.spines["bottom"].set_color("#9aa1a9")
axes.set_xlabel("month in which the leads became MQL", color=INK)
handles, labels = axes.get_legend_handles_labels()
order = [labels.index(bars.get_label()), 0, 1]
axes.legend([handles[i] for i in order], [labels[i] for i in order], loc="lower left",
            bbox_to_anchor=(0, 1), frameon=False, fontsize=10, labelcolor=INK, borderaxespad=0.2)
axes.set_title("Recent months look worse than they are: their leads are still open",
               loc="left", color=INK, fontsize=13, fontweight="bold", pad=62)

figure.tight_layout()
figure.savefig(here / "conversion.svg", facecolor="white",
               metadata={"Date": None, "Creator": None, "Title": "Conversion from MQL to SQL by month",
                         "Description": "\n".join(rows)})
