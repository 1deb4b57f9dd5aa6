"""How rows are shown."""

import json

COLUMNS = ("case", "ours", "peer", "unit", "ratio", "must", "limit", "of limit", "ours is", "peer is", "limit is", "against each")


def to_json(row):
    return json.dumps({key: _rounded(value) for key, value in row.items()}, ensure_ascii=False)


def to_table(rows):
    lines = [COLUMNS] + [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    numeric = {"ours", "peer", "ratio", "must", "limit", "of limit"}
    return "\n".join(
        "  ".join(cell.rjust(width) if name in numeric else cell.ljust(width)
                  for cell, width, name in zip(line, widths, COLUMNS)).rstrip()
        for line in lines)


def _cells(row):
    return (
        row["case"], _number(row["ours"]), _number(row["peer"]), row["unit"], f"{row['ratio']:.2f}",
        f"{row['must']:g}" if "must" in row else "", _number(row["limit"]) if "limit" in row else "",
        f"{row['ours_of_limit']:.0%}" if "limit" in row else "", row["ours_name"], row["peer_name"], row.get("limit_name", ""),
        _each(row),
    )


def _each(row):
    """The ratio to each family of peers, and what it must be."""
    if len(row["against"]) < 2:
        return ""
    must = row.get("must_against", {})
    return "; ".join(f"{who} {ratio:.2f}" + (f" (must be {must[who]:g})" if who in must else "")
                     for who, ratio in row["against"].items())


def _number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
