"""Which places are neighbours, and which flows are."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.flows.flowdata import FlowData
from choicemodels.interaction.inputs import refuse_periods, valid_cost

__all__ = ["FlowLink", "PlaceWeights", "flow_weights", "nearest_places", "place_weights"]

FlowLink: TypeAlias = Literal["both", "origin", "destination"]


@dataclass(frozen=True, eq=False)
class PlaceWeights:
    """Weights between places, none of a place with itself.

    Attributes
    ----------
    labels : Index, length P
    matrix : sparse array, shape (P, P)
        Zero or more.
    """

    labels: pd.Index
    matrix: Any

    def select(self, labels: pd.Index) -> Any:
        """Return the weights between these places, as a sparse array in their order.

        Raises
        ------
        DataError
            If a place has no weights.
        """
        place = self.labels.get_indexer(labels)
        missing = labels[place < 0].tolist()
        if missing:
            raise DataError(
                f"{len(missing):,} places of the flows are not among the spatial weights "
                f"({enumerate_some(missing)}); give weights for every place, under the same labels."
            )
        return self.matrix[place][:, place]


def place_weights(weights: Any) -> PlaceWeights:
    """Take spatial weights from where a user has them.

    Parameters
    ----------
    weights
        A DataFrame whose index and columns are the places, a ``libpysal.weights.W``, a
        ``libpysal.graph.Graph``, or :class:`PlaceWeights`.

    Raises
    ------
    DataError
        If it is none of these, or a weight is negative or not finite.
    """
    # The sparse arrays of scipy take a while to load, and few results need them.
    from scipy.sparse import csr_array, diags_array

    if isinstance(weights, PlaceWeights):
        return weights
    if isinstance(weights, pd.DataFrame):
        labels = pd.Index(weights.index)
        if not labels.is_unique or not labels.equals(pd.Index(weights.columns)):
            raise DataError(
                "the table of spatial weights must have every place once, in the same order in its "
                "index and its columns."
            )
        matrix = csr_array(weights.to_numpy(dtype=np.float64))
    else:
        order = getattr(weights, "id_order", None)
        order = getattr(weights, "unique_ids", None) if order is None else order
        sparse = getattr(weights, "sparse", None)
        if order is None or sparse is None:
            raise DataError(
                f"spatial weights come as a table of places by places or from libpysal, not as a "
                f"{type(weights).__name__}."
            )
        labels, matrix = pd.Index(order), csr_array(sparse, dtype=np.float64)
    if not (np.isfinite(matrix.data) & (matrix.data >= 0)).all():
        raise DataError("spatial weights must be finite and zero or more; some are not.")
    others = csr_array(matrix - diags_array(matrix.diagonal()))
    others.eliminate_zeros()
    return PlaceWeights(labels, others)


def nearest_places(data: FlowData, cost: str = "distance", count: int = 4) -> PlaceWeights:
    """Make each place a neighbour of the ones that are nearest by cost.

    Parameters
    ----------
    data
        Flows of one period whose rows hold the costs.
    cost
        The column with the costs from origin to destination.
    count
        Neighbours of each place; of places at the same cost, those come first that are first by
        label.

    Raises
    ------
    SpecificationError
        If the count is below one.
    DataError
        If an origin has fewer rows to other places than the count.
    """
    from scipy.sparse import csr_array

    if count < 1:
        raise SpecificationError(f"count is {count}; at least 1 neighbour is needed.")
    refuse_periods(data)
    c = valid_cost(data, cost, positive=False)
    o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
    labels = o.levels[0].union(d.levels[0])
    home, there = (labels.get_indexer(f.levels[0])[f.codes] for f in (o, d))
    between = np.flatnonzero(home != there)
    order = between[np.lexsort((there[between], c[between], home[between]))]
    position = pd.Series(home[order]).groupby(home[order]).cumcount().to_numpy()
    near = order[position < count]
    found = np.bincount(home[near], minlength=len(labels))
    short = labels[found < count].tolist()
    if short:
        raise DataError(
            f"{len(short):,} places have fewer than {count} rows to other places "
            f"({enumerate_some(short)}); lower count=, or give the missing pairs a row."
        )
    P = len(labels)
    return PlaceWeights(labels, csr_array((np.ones(len(near)), (home[near], there[near])), (P, P)))


def flow_weights(
    data: FlowData, rows: NDArray[np.int64], places: PlaceWeights, link: FlowLink = "both"
) -> Any:
    """Return the weights between flows.

    Parameters
    ----------
    data
    rows
        Positions of the flows, N of them.
    places
    link
        Flows are neighbours if their origins and their destinations are (``"both"``, the Kronecker
        product W x W of [ChunGriffith2011]_), if the origins are and the destination is the same
        (``"origin"``, W x I), or the other way round (``"destination"``, I x W)
        [LeSagePace2008]_.

    Returns
    -------
    sparse array, shape (N, N)

    Raises
    ------
    SpecificationError
        If the link is unknown.
    DataError
        If there are several periods, or a place has no weights.
    """
    from scipy.sparse import eye_array, kron

    if link not in get_args(FlowLink):
        raise SpecificationError(
            f"the link '{link}' is unknown; choose one of {', '.join(get_args(FlowLink))}."
        )
    refuse_periods(data)
    o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
    first = places.select(o.levels[0]) if link != "destination" else eye_array(o.size)
    second = places.select(d.levels[0]) if link != "origin" else eye_array(d.size)
    pairs = (o.codes * d.size + d.codes)[rows]
    whole = kron(first, second, format="csr")
    return whole[pairs][:, pairs]
