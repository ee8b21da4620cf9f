import pytest

from choicemodels.nation.generator import generate_nation


@pytest.fixture(scope="session")
def village():
    return generate_nation("village")


@pytest.fixture(scope="session")
def town():
    return generate_nation("town")
