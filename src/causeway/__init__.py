"""causeway: carry vision policies from simulation to reality."""

__version__ = "0.1.0"
