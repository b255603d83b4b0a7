"""How numbers are written."""

SMALL = 0.01  # below it three decimals would hide what a number is


def number(value: float, sign: str = "") -> str:
    """Three decimals, fewer or more where they would say nothing; with ``sign = "+"`` a sign always."""
    if 0 < abs(value) < SMALL:
        return f"{value:{sign}.2g}"
    decimals = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 0
    return f"{value:{sign},.{decimals}f}"
