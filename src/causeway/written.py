"""How numbers are written."""

SMALL, NOTHING = 0.01, 1e-9  # below the one three decimals would hide what a number is, below the other it is rounding


def number(value: float, sign: str = "") -> str:
    """Three decimals, fewer where they would say nothing, two digits of what is smaller; ``sign = "+"`` for a sign."""
    if NOTHING < abs(value) < SMALL:
        return f"{value:{sign}.2g}"
    decimals = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 0
    return f"{value:{sign},.{decimals}f}"
