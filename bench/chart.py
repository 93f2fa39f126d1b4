# SPDX-License-Identifier: MIT
"""The bar chart for README: a panel a work, a bar a program, the cheapest first.

Drawn from what was measured, as plain SVG: no script, no font of its own, readable on a
light page and on a dark one (it brings its background along).
"""
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 720, 150, 110
BAR, GAP, HEAD, FOOT = 16, 6, 44, 34
OURS, RAW, OTHERS = "#0b6e4f", "#8a94a6", "#c3cad6"
STYLE = ("text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;"
         "fill:#1d2433}.t{font-weight:600;font-size:15px}.o{font-weight:600}.s{fill:#5b6577;"
         "font-size:12px}")


def colour(name):
    if name.startswith("tenon"):
        return OURS
    return RAW if name.startswith("raw") else OTHERS


def panel(title, unit, rows, top, shown):
    """The SVG of one panel from TOP on, and where it ends."""
    most = max(row["value"] for row in rows)
    room = WIDTH - LEFT - RIGHT
    out = [f'<text class="t" x="16" y="{top + 18}">{escape(title)}</text>',
           f'<text class="s" x="16" y="{top + 35}">{escape(unit)}, less is better</text>']
    y = top + HEAD
    for row in rows:
        width = max(1.0, row["value"] / most * room)
        bold = ' class="o"' if row["server"].startswith("tenon") else ""
        out += [
            f'<text{bold} x="{LEFT - 8}" y="{y + 13}" text-anchor="end">'
            f'{escape(row["server"])}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" '
            f'fill="{colour(row["server"])}"/>',
            f'<text{bold} x="{LEFT + width + 6:.1f}" y="{y + 13}">{shown(row["value"])}</text>',
        ]
        y += BAR + GAP
    return out, y + 14


def draw(path, works, servers, footer, shown):
    """Write the chart of WORKS, those that have figures among SERVERS."""
    body, y = [], 8
    for work in works:
        rows = [row for row in servers
                if row["work"] == work.name and "value" in row and row["server"] in work.chart]
        if not rows:
            continue
        rows.sort(key=lambda row: row["value"])
        part, y = panel(work.title, work.unit, rows, y, shown)
        body += part
    height = y + FOOT - 14
    body.append(f'<text class="s" x="16" y="{height - 14}">{escape(footer)}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                   f'viewBox="0 0 {WIDTH} {height}" role="img">\n'
                   f'<title>What a server costs: tenon and others</title>\n'
                   f'<style>{STYLE}</style>\n'
                   f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>\n'
                   + "\n".join(body) + "\n</svg>\n")
