"""How it is found, and how sure it is: fitting, covariances, tests and tables."""

from estimation.bootstrap import bootstrap
from estimation.choice.effects import elasticities
from estimation.choice.result import ChoiceResult
from estimation.choice.scenarios import compare
from estimation.choice.welfare import surplus
from estimation.choice.wtp import willingness_to_pay
from estimation.delta import delta_method
from estimation.fit import fit
from estimation.gravity.result import GravityResult
from estimation.harmonize import harmonize
from estimation.storage import load_result
from estimation.table import Table, frame_table, table

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
    "harmonize",
    "load_result",
    "surplus",
    "table",
    "willingness_to_pay",
]
