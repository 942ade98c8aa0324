"""Draw docs/images/kernel-layout.svg, the picture of docs/kernel.md: `.venv/bin/python docs/make_kernel_layout.py`."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

PICTURE = Path(__file__).parent / "images" / "kernel-layout.svg"
# Okabe and Ito's colours, which colour-blind readers can tell apart; each is also named by a label.
FIRST, LATER, RECTANGLE, STRIP, PLAIN = "#E69F00", "#56B4E9", "#B7E0D2", "#0072B2", "#F2F2F2"
EDGE = {"edgecolor": "#333333", "linewidth": 0.8}
TEXT = {"fontsize": 9, "va": "center"}


def box(ax: Axes, x: float, y: float, width: float, height: float, color: str, **style: object) -> None:
    ax.add_patch(Rectangle((x, y), width, height, **{"facecolor": color, **EDGE, **style}))


def panel(ax: Axes, title: str, width: float, height: float) -> None:
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set_axis_off()
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold")


def draw_block(ax: Axes) -> None:
    """Rows of X on the left, the same rows feature by feature on the right."""
    panel(ax, "1  A block: rows of X, copied feature by feature", 48, 15)
    for row in range(12):
        for feature in range(5):
            box(ax, 1 + 0.9 * feature, 1 + 0.9 * row, 0.9, 0.9, FIRST if 3 <= row < 9 else PLAIN, linewidth=0.4)
    ax.text(1, 12.8, "X (N, D), D = 5", **TEXT)
    ax.text(5.9, 6.4, "one block of\n≤ 256 rows", **TEXT)
    ax.annotate("", (17, 6.4), (11.6, 6.4), arrowprops={"arrowstyle": "->"})
    ax.text(11.5, 4.9, "minus the origin", **TEXT)
    left, width, n = 19, 26, 8
    for feature in range(5):
        y = 2 + 1.5 * feature
        for strip in range(n):
            box(ax, left + strip * width / n, y, width / n, 1.1, STRIP if strip == 2 else PLAIN)
        box(ax, left + 7.4 * width / n, y, 0.6 * width / n, 1.1, "white", hatch="//////")
        ax.text(left - 0.4, y + 0.55, f"{feature + 1}", ha="right", **TEXT)
    ax.text(left, 1.1, "x (D, block): one line of doubles per feature", **TEXT)
    ax.text(left + 2.5 * width / n, 10.3, "strip: 4 vectors", ha="center", **TEXT)
    ax.text(left + width, 10.3, "padding: the last row again", ha="right", **TEXT)
    for vector in range(4):
        box(ax, left + 2 * width / n + vector * 3, 11.2, 3, 1.1, STRIP, alpha=0.75)
        for lane in range(8):
            box(ax, left + 2 * width / n + vector * 3 + lane * 0.375, 11.2, 0.375, 1.1, "none", linewidth=0.3)
    ax.text(left + 2 * width / n, 13.2, "vector: 8 rows (4 or 2 on narrower registers)", **TEXT)


def draw_triangle(ax: Axes, left: float, top: float, tiles: list[int], size: float, whitener: bool) -> None:
    """The lower triangle of a matrix, cut into tiles of rows; the scatter's rectangles are cut by columns too."""
    D, i = sum(tiles), 0
    for number, rows in enumerate(tiles):
        color = FIRST if number == 0 else LATER
        j = 0
        for columns in tiles[: 0 if whitener else number]:
            box(ax, left + j * size, top + i * size, columns * size, rows * size, RECTANGLE)
            j += columns
        for r in range(rows):
            start = 0 if whitener else i
            box(ax, left + start * size, top + (i + r) * size, (i + r + 1 - start) * size, size, color, linewidth=0.3)
        i += rows
    ax.text(left, top + D * size + 1, f"D = {D}: {' + '.join(map(str, tiles))}", **TEXT)


def draw_tiles(ax: Axes) -> None:
    """The whitener in tiles of rows, and the scatter in triangles and rectangles."""
    panel(ax, "2  Tiles: 4 features each; the first has 2, 3 or 5 if 4 does not divide D", 48, 15)
    ax.text(1, 0.6, "whitener $L_k^{-1}$: tiles of rows", **TEXT)
    draw_triangle(ax, 1, 1.6, [5, 4], 1.0, whitener=True)
    draw_triangle(ax, 12, 1.6, [2, 4, 4], 1.0, whitener=True)
    ax.text(25, 0.6, "scatter $T_k$: triangles and rectangles", **TEXT)
    draw_triangle(ax, 25, 1.6, [5, 4], 1.0, whitener=False)
    draw_triangle(ax, 36, 1.6, [2, 4, 4], 1.0, whitener=False)
    x = 1
    for color, label, width in (
        (FIRST, "first tile", 8.5),
        (LATER, "later tiles", 9),
        (RECTANGLE, "rectangle: a tile times an earlier one", 10),
    ):
        box(ax, x, 13.6, 1, 1, color)
        ax.text(x + 1.4, 14.1, label, **TEXT)
        x += width


def draw_logarithms(ax: Axes) -> None:
    """Totals multiplied lane by lane down the strips, then one logarithm per lane."""
    panel(ax, "3  Log-likelihood: one logarithm per lane, of a product", 48, 13)
    ax.text(1, 0.6, "totals of a block: each from 1 to K, 1 for padding (12 of 32 lanes drawn)", **TEXT)
    for strip in range(8):
        for lane in range(12):
            color = "white" if strip == 7 and lane > 5 else PLAIN
            hatch = "//////" if color == "white" else None
            box(ax, 1 + lane * 1.3, 1.4 + strip, 1.3, 0.9, STRIP if lane == 3 else color, linewidth=0.4, hatch=hatch)
    ax.text(17.3, 1.8, "strip 1", **TEXT)
    ax.text(17.3, 8.8, "strip 8", **TEXT)
    ax.annotate("", (5.55, 11.2), (5.55, 9.5), arrowprops={"arrowstyle": "->", "color": STRIP, "lw": 1.5})
    ax.text(1, 12.0, "product of the lane's totals", **TEXT)
    ax.annotate("", (26.5, 5.4), (21.5, 5.4), arrowprops={"arrowstyle": "->"})
    ax.text(27.2, 4.4, "sum of log p(x) =", **TEXT)
    ax.text(27.2, 6.0, "sum over rows of the largest log density", **TEXT)
    ax.text(27.2, 7.6, "+ sum over lanes of log(product)", **TEXT)


def draw_ranges(ax: Axes) -> None:
    """The rows cut into ranges, done by threads in any order, and added in order."""
    panel(ax, "4  Ranges: cut by N alone, added in a fixed order", 48, 9.5)
    ax.text(1, 0.6, "all rows: 1 range up to 2048 rows; else 8, 16, ... of at most 65,536", **TEXT)
    width = 5.6
    for number in range(8):
        color = LATER if number % 2 else FIRST
        box(ax, 1 + number * width, 1.6, width, 1.6, color)
        ax.text(1 + (number + 0.5) * width, 2.4, f"{number + 1}", ha="center", **TEXT)
        ax.annotate(
            "", (1 + (number + 0.5) * width, 6), (1 + (number + 0.5) * width, 3.3), arrowprops={"arrowstyle": "->"}
        )
        box(ax, 1 + number * width + 0.6, 6.1, width - 1.2, 1.4, PLAIN)
        ax.text(1 + (number + 0.5) * width, 6.8, "N, t, T", ha="center", **TEXT)
        if number:
            ax.text(1 + number * width, 6.8, "+", ha="center", **TEXT)
    text = "Threads take the ranges in any order. The sums are added from 1 to 8: the same bits on any number of cores."
    ax.text(1, 8.8, text, **TEXT)


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "bayesgmm", "svg.fonttype": "none", "hatch.linewidth": 0.5})
    figure, axes = plt.subplots(4, 1, figsize=(9.6, 12.0), height_ratios=(15, 15, 13, 9.5), facecolor="white")
    for draw, ax in zip((draw_block, draw_tiles, draw_logarithms, draw_ranges), axes, strict=True):
        draw(ax)
    figure.tight_layout(h_pad=1.5)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
