"""How rows are shown."""

import json

COLUMNS = (
    "case", "ours", "peer", "unit", "ratio", "must", "limit", "of limit", "ours is", "peer is", "limit is",
    "against each", "ms a step")


def to_json(row):
    return json.dumps({key: _rounded(value) for key, value in row.items()}, ensure_ascii=False)


def to_table(rows):
    """Columns in which nothing stands are left out."""
    columns = [column for column in zip(COLUMNS, *(_cells(row) for row in rows)) if any(column[1:])]
    numeric = {"ours", "peer", "ratio", "must", "limit", "of limit"}
    aligned = []
    for column in columns:
        width = max(len(cell) for cell in column)
        aligned.append([cell.rjust(width) if column[0] in numeric else cell.ljust(width) for cell in column])
    return "\n".join("  ".join(line).rstrip() for line in zip(*aligned))


def _cells(row):
    return (
        row["case"], _number(row["ours"]), _number(row["peer"]), row["unit"], f"{row['ratio']:.2f}",
        f"{row['must']:g}" if "must" in row else "", _number(row["limit"]) if "limit" in row else "",
        f"{row['ours_of_limit']:.0%}" if "limit" in row else "",
        row["ours_name"] if row["ours_name"] != "ds" else "", row["peer_name"], row.get("limit_name", ""), _each(row),
        _phases(row),
    )


def _each(row):
    """The ratio to each family of peers, and what it must be."""
    if len(row["against"]) < 2:
        return ""
    must = row.get("must_against", {})
    return "; ".join(f"{who} {ratio:.2f}" + (f" (must be {must[who]:g})" if who in must else "")
                     for who, ratio in row["against"].items())


def _phases(row):
    """Where the time of a step of ours goes."""
    return ", ".join(f"{phase} {_number(ms)}" for phase, ms in row.get("phases", {}).items())


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
