"""How it is found, and how sure it is: fitting, covariances, tests and tables."""

from estimation.choice_result import ChoiceResult
from estimation.fit import fit
from estimation.gravity_result import GravityResult
from estimation.storage import load_result
from estimation.table import Table, frame_table, table

__all__ = ["ChoiceResult", "GravityResult", "Table", "fit", "frame_table", "load_result", "table"]
