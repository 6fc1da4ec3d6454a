# SPDX-License-Identifier: Apache-2.0
"""Memory and progress over time as an SVG: two lines, two scales, and the limit."""
import html
import math

WIDTH, HEIGHT = 960, 480
LEFT, RIGHT, TOP, BOTTOM = 72, 116, 48, 56
COLUMNS = 400  # points of a line at most
MEMORY, ROWS, LIMIT = "#1f5fa8", "#2a8c4a", "#b3261e"


def nice_scale(most, steps=5):
    """(end, step) of an axis from 0 that holds `most`, with steps of 1, 2 or 5."""
    most = max(most, 1e-9)
    rough = most / steps
    power = 10 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in (1, 2, 5, 10) if unit * power >= rough)
    return math.ceil(most / step - 1e-9) * step, step


def highest(points, end):
    """One point for each column of the picture, the highest of those in it: no peak gets lost."""
    best = {}
    for at, value in points:
        column = min(COLUMNS - 1, int(at / end * COLUMNS))
        if column not in best or value > best[column][1]:
            best[column] = (at, value)
    return [best[column] for column in sorted(best)]


class Picture:
    def __init__(self, title, seconds, memory, rows):
        self.seconds, self.time_step = nice_scale(seconds)
        self.memory, self.memory_step = nice_scale(memory)
        self.rows, self.rows_step = nice_scale(rows)
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
        self.text(WIDTH / 2, 26, title, size=17)

    def x(self, seconds):
        return LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)

    def y(self, value, scale):
        return HEIGHT - BOTTOM - value / scale * (HEIGHT - TOP - BOTTOM)

    def text(self, x, y, words, anchor="middle", colour="#222222", size=13, turn=None):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
                          f'font-size="{size}"{turned}>{html.escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour, dashes=""):
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>')

    def curve(self, points, scale, colour):
        path = " ".join(f"{self.x(at):.1f},{self.y(value, scale):.1f}" for at, value in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')

    def axes(self):
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for n in range(round(self.memory / self.memory_step) + 1):
            at = self.y(n * self.memory_step, self.memory)
            self.line(LEFT, at, right, at, "#e2e2e2")
            self.text(LEFT - 8, at + 4, f"{n * self.memory_step:g}", "end", MEMORY)
        for n in range(round(self.rows / self.rows_step) + 1):
            self.text(right + 8, self.y(n * self.rows_step, self.rows) + 4, f"{n * self.rows_step:,.0f}", "start", ROWS)
        for n in range(round(self.seconds / self.time_step) + 1):
            at = self.x(n * self.time_step)
            self.line(at, bottom, at, bottom + 5, "#222222")
            self.text(at, bottom + 20, f"{n * self.time_step:g}")
        self.line(LEFT, bottom, right, bottom, "#222222")
        self.line(LEFT, TOP, LEFT, bottom, "#222222")
        self.line(right, TOP, right, bottom, "#222222")
        self.text((LEFT + right) / 2, HEIGHT - 14, "seconds since the start of the program")
        self.text(22, (TOP + bottom) / 2, "private memory, MiB", colour=MEMORY, turn=-90)
        self.text(WIDTH - 14, (TOP + bottom) / 2, "rows on the server", colour=ROWS, turn=90)

    def svg(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def draw(path, title, memory, rows, limit):
    """Writes the picture. `memory` is (seconds, MiB), `rows` (seconds, rows), `limit` (MiB, what it is)."""
    end = max(at for at, _ in memory + rows)
    picture = Picture(title, end, 1.25 * max(limit[0], *(value for _, value in memory)),
                      1.25 * max(value for _, value in rows))
    picture.axes()
    picture.curve(rows, picture.rows, ROWS)
    picture.curve(highest(memory, end), picture.memory, MEMORY)
    at = picture.y(limit[0], picture.memory)
    picture.line(LEFT, at, WIDTH - RIGHT, at, LIMIT, "7 5")
    picture.text(LEFT + 10, at - 7, f"limit {limit[0]:.2f} MiB: {limit[1]}", "start", LIMIT)
    most = max(value for _, value in memory)
    picture.text(LEFT + 10, picture.y(most, picture.memory) + 18, f"at most {most:.2f} MiB", "start", MEMORY)
    with open(path, "w") as file:
        file.write(picture.svg())
