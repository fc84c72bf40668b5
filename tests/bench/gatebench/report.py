"""The medians as a table, in text and Markdown, with the goals that were met and those that were
not."""

import os
import platform

# key, what it is, digits, whether more is better, the goal against the floor (a bound of the ratio)
ROWS = (
    ("tunnels", "tunnels a second", 0, True, 0.9),
    ("setup p50", "tunnel set-up, half within, µs", 0, False, 1.2),
    ("setup p99", "tunnel set-up, 99 of 100 within, µs", 0, False, 1.2),
    ("echo p50", "echo through a tunnel, half within, µs", 1, False, 1.2),
    ("echo p99", "echo through a tunnel, 99 of 100 within, µs", 1, False, 1.2),
    ("bulk 1", "1 tunnel, GB/s", 2, True, 0.9),
    ("bulk 16", "16 tunnels, GB/s", 2, True, 0.9),
    ("http", "plain-http requests a second", 0, True, 0.9),
    ("processor/tunnels", "processor seconds for 1,000 tunnels", 3, False, None),
    ("processor/GB", "processor seconds for 1 GB", 3, False, None),
    ("memory idle", "private memory idle, MiB", 2, False, None),
    ("memory held", "private memory with 1,000 tunnels, MiB", 2, False, None),
)
LABELS = {key: label for key, label, *_ in ROWS}
GATE, FLOOR = "gate", "floor"
IDLE_MAX = 1.5
SQUID_SHARE = 0.5


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), platform.machine())
    return (f"{os.cpu_count()} processors ({model}), Linux {platform.release()}, "
            f"load {os.getloadavg()[0]:.1f} at the end")


def goals(results):
    """(text, met) for each goal that could be checked."""
    for key, label, _, more, bound in ROWS:
        row = results.get(key, {})
        if GATE not in row:
            continue
        if bound and row.get(FLOOR):
            ratio = row[GATE] / row[FLOOR]
            met = ratio >= bound if more else ratio <= bound
            yield f"{label}: {ratio:.2f} of the floor, {'at least' if more else 'at most'} {bound}", met
        for other in ("tinyproxy", "squid"):
            if other in row:
                met = row[GATE] > row[other] if more else row[GATE] < row[other]
                yield f"{label}: better than {other}", met
    row = results.get("processor/tunnels", {})
    if row.get("squid"):
        share = row[GATE] / row["squid"]
        yield f"processor time of a tunnel: {share:.2f} of squid's, at most {SQUID_SHARE}", \
            share <= SQUID_SHARE
    idle = results["memory idle"][GATE]
    yield f"private memory idle: {idle:.2f} MiB, below {IDLE_MAX}", idle < IDLE_MAX


def _cells(results, names):
    for key, label, digits, _, _ in ROWS:
        row = results.get(key, {})
        cells = [f"{row[name]:,.{digits}f}" if name in row else "" for name in names]
        ratio = f"{row[GATE] / row[FLOOR]:.2f}" if row.get(FLOOR) and GATE in row else ""
        yield [label, *cells, ratio]


def _table(results, names):
    return [["", *names, "gate / floor"], *_cells(results, names)]


def text(results, names, how, with_goals=True):
    table = _table(results, names)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                       for i, (cell, width) in enumerate(zip(row, widths))) for row in table]
    lines += ["", f"Medians of {how}; {machine()}."]
    if with_goals:
        lines += ["", *(f"{'met   ' if met else 'missed'}  {goal}" for goal, met in goals(results))]
    return "\n".join(lines) + "\n"


def markdown(results, names, how):
    table = _table(results, names)
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|---|" + "---:|" * (len(names) + 1))
    missed = [goal for goal, met in goals(results) if not met]
    lines += ["", f"Medians of {how}; {machine()}.", ""]
    lines += ["All goals were met." if not missed else "Goals that were missed:"]
    lines += [f"- {goal}" for goal in missed]
    return "\n".join(lines) + "\n"
