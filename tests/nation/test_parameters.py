import dataclasses

import pytest

from choicemodels.errors import SpecificationError
from choicemodels.nation.parameters import GROUPS, NationParameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leaving": 1.2}, "leaving=1.2 .* a share above 0, at most 1"),
        ({"leaving": float("nan")}, "leaving=nan"),
        ({"zip_only": -0.1}, "a share from 0 to 1"),
        ({"people": 0.0}, "people=0.0 .* above zero"),
        ({"people_spread": -1.0}, "zero or more"),
        ({"people": "many"}, "people='many'"),
        ({"coverage": 0.8}, "coverage .* each of white, black, hispanic, asian, other; got 0.8"),
        ({"coverage": dict.fromkeys(GROUPS, "most")}, "needs a finite number"),
        ({"homophily": 1e3}, "from 0 to 20"),
        ({"yearly_sample": 0.0}, "above 0, at most 1"),
        ({"leaving": 0.7}, "70% cannot leave if 60% is the most"),
        ({"coverage": {"white": 0.9}}, "coverage .* each of white, black"),
        ({"coverage": dict.fromkeys(GROUPS, 1.5)}, "coverage must be above 0 and at most 1"),
        ({"shares": dict.fromkeys(GROUPS, 0.3)}, "add up to 1"),
        ({"share_spreads": {"state": 1.0}}, "share_spreads .* state, county, tract, block_group"),
    ],
)
def test_parameters_out_of_range_are_refused(change, message):
    with pytest.raises(SpecificationError, match=message):
        NationParameters(**change)


def test_every_parameter_is_described():
    doc = NationParameters.__doc__
    for parameter in dataclasses.fields(NationParameters):
        assert parameter.name in doc, parameter.name
