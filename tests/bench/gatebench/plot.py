"""The medians as a plot (SVG): a small bar chart for each measurement."""

from html import escape

from .report import ROWS

COLOURS = {"no proxy": "#bbbbbb", "floor": "#888888", "gate": "#1f6fb4", "tinyproxy": "#d98c3f",
           "squid": "#5a9e6f"}
COLUMNS = 3
WIDTH, BAR, GAP, TITLE = 330, 16, 5, 34
NAME, NUMBER = 70, 66  # room beside the bars


def _chart(key, label, digits, more, row, x, y):
    most = max(row.values()) or 1
    yield (f'<text x="{x}" y="{y + 14}" font-weight="bold">{escape(label)}</text>'
           f'<text x="{x}" y="{y + 27}" fill="#666">{"more" if more else "less"} is better</text>')
    y += TITLE
    for name, value in row.items():
        length = (WIDTH - NAME - NUMBER) * value / most
        yield (f'<text x="{x + NAME - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
               f'<rect x="{x + NAME}" y="{y}" width="{length:.1f}" height="{BAR}" '
               f'fill="{COLOURS.get(name, "#000")}"/>'
               f'<text x="{x + NAME + length + 5:.1f}" y="{y + 12}">{value:,.{digits}f}</text>')
        y += BAR + GAP


def svg(results, names, how):
    height = TITLE + len(names) * (BAR + GAP) + 16
    charts = []
    for i, (key, label, digits, more, _) in enumerate(ROWS):
        row = {name: results[key][name] for name in names if name in results.get(key, {})}
        if row:
            charts += _chart(key, label, digits, more, row, 20 + i % COLUMNS * (WIDTH + 20),
                             40 + i // COLUMNS * height)
    total = 40 + (len(ROWS) + COLUMNS - 1) // COLUMNS * height
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * (WIDTH + 20) + 20}" '
            f'height="{total}" font-family="sans-serif" font-size="11">'
            f'<rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="20" y="24" font-size="14">The gate beside other ways out: medians of '
            f'{escape(how)}</text>' + "\n".join(charts) + "</svg>\n")
