"""How it is found, and how sure it is: fitting, covariances, tests and tables."""

from estimation.bootstrap import bootstrap
from estimation.choice_result import ChoiceResult
from estimation.delta import delta_method
from estimation.effects import elasticities
from estimation.fit import fit
from estimation.gravity.result import GravityResult
from estimation.scenarios import compare
from estimation.storage import load_result
from estimation.table import Table, frame_table, table
from estimation.welfare import surplus
from estimation.wtp import willingness_to_pay

__all__ = [
    "ChoiceResult",
    "GravityResult",
    "Table",
    "bootstrap",
    "compare",
    "delta_method",
    "elasticities",
    "fit",
    "frame_table",
    "load_result",
    "surplus",
    "table",
    "willingness_to_pay",
]
