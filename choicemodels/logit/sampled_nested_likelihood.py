"""The nested logit over sampled choice sets.

Under nesting the choice probabilities depend on alternatives outside of the sample, through the
logsums of the nests. They are expanded from the sample: a drawn alternative counts for as many as
it stands for [GuevaraBenAkiva2013]_,

    P(i | D) = exp(U_i + ln pr(D | i)) / sum_{j in D} exp(U_j + ln pr(D | j)),
    U_i = V_i / lambda_m(i) + sum_m I_m (lambda_m / lambda_parent(m) - 1),
    I_m = log( sum_{j in m} w_j exp(V_j / lambda_m) + sum_{c in m} exp(lambda_c I_c / lambda_m) ),

j alternatives and c nests, the sum in U over the nests of i up to the root, which is excluded.

What an alternative stands for depends on which one was chosen: ``w_j(i)``, with ``w_j(j) = 1``,
makes the sums over alternatives unbiased given i. So that the logsums are functions of the sample
alone, as they are in the true model, ``w_j = sum_i P(i | D) w_j(i)``, at given parameters: the
estimation brings the weights up to date until both agree. A second sample, drawn without regard to
the choices, needs no such weights, but its noise is independent of the choices and biases lambda
towards one.

The logarithms of the sums are consistent as samples grow, and so are the estimates. Standard errors
are right with the covariances ``"robust"`` and ``"cluster"``.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.sampling import Sample
from choicemodels.errors import DataError
from choicemodels.logit.likelihood import Contributions, LogitParameters, never_compared
from choicemodels.logit.observations import Observations
from choicemodels.logit.sampled_nested_kernels import sampled_derivatives
from choicemodels.logit.sampled_nested_probabilities import Rows, sampled_probabilities
from choicemodels.logit.systematic import Linearization
from choicemodels.logit.tree import NestTree
from choicemodels.restrictions import Evaluation

__all__ = ["SampledNestedLikelihood"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)


@dataclass(frozen=True, eq=False)
class SampledNestedLikelihood:
    """The expanded likelihood of a nested logit over sampled choice sets.

    Attributes
    ----------
    parameters : LogitParameters
    options : Observations
        The sampled choice sets D, R rows, utilities without corrections.
    sample : Sample
        How D was drawn, with what its rows count for at present, if D' is D.
    members : Observations
        The samples D' for the logsums, R' rows; the same object as ``options`` if they are the
        same samples.
    log_weight : ndarray, shape (R',)
        Logarithm of what each row of D' counts for.
    parent : ndarray of int64, shape (J + M,)
        As in the tree, but that the only member of a nest hangs on what the nest hangs on, if
        utilities are normalized: the model is the same, and its logsum needs no expansion.
    """

    parameters: LogitParameters
    options: Observations
    sample: Sample
    members: Observations
    log_weight: Array
    parent: Ints

    @classmethod
    def build(cls, parameters: LogitParameters, data: ChoiceData) -> Self:
        """Put a nested logit over sampled data, whose alternatives it must know.

        Raises
        ------
        DataError
            If the samples cannot be expanded, or leave a nest without members to expand.
        """
        sample = data.sample
        assert sample is not None
        logsums = data if sample.logsums is None else sample.logsums
        assert logsums.sample is not None

        def observed(data: ChoiceData) -> Observations:
            plain = replace(data, sample=None)
            observations = Observations.build(parameters.utility, plain, parameters.alternatives)
            if len(parameters.constants):
                observations = observations.shifted(parameters.constants)
            return observations

        options = observed(data)
        members = options if logsums is data else observed(logsums)
        tree = _without_singletons(parameters.tree) if parameters.rum else parameters.tree
        _refuse_empty_nests(tree, options, members, data)
        _refuse_thin_nests(tree, logsums, members)
        if logsums is not data:
            return cls(parameters, options, sample, members, logsums.sample.correction, tree.parent)
        if not np.isfinite(sample.beside).all():
            raise DataError(
                "the samples cannot be expanded to the logsums of the nests: in a stratum with one "
                "draw the chosen alternative leaves the others no chance; draw at least two from "
                "each stratum, or a second sample with logsums=."
            )
        found = cls(parameters, options, sample, members, np.empty(0), tree.parent)
        if sample.expansion is not None:
            return replace(found, log_weight=np.log(sample.expansion))
        sizes = np.diff(data.offsets)
        return found._weighted(1.0 / np.repeat(sizes, sizes))

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return self.options.n_cases

    @cached_property
    def observations(self) -> Observations:
        """The sampled choice sets as a multinomial logit sees them, corrections added."""
        return replace(self.options, design=self.options.design.corrected(self.sample.correction))

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Outside of ``lambda > 0`` the log-likelihood is minus infinity.
        """
        if not self.parameters.allows(theta):
            P = len(theta)
            return -np.inf, np.zeros(P), np.zeros((P, P))
        return self._derivatives(theta, _NONE, _NONE.reshape(0, 0))

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every case."""
        N, P = self.n_cases, len(theta)
        loglike_obs, score_obs = np.empty(N), np.empty((N, P))
        llf, score, hessian = self._derivatives(theta, loglike_obs, score_obs)
        return Contributions(llf, score, hessian, loglike_obs, score_obs)

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return ``P(i | D)`` of the rows (R,), and the cases' expanded logsums (N,)."""
        p = self.parameters
        at, at_members = self._linearize(theta[: p.n_utility])
        options, members = self._rows(at, at_members)
        return sampled_probabilities(
            options, members, at.beta, p.lambdas(theta), self.parent, p.rum
        )

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        options = replace(self.options, weights=weights)
        members = options if self.members is self.options else self.members
        return replace(self, options=options, members=members)

    def updated(self, theta: Array) -> Self:
        """Bring what the alternatives stand for up to date, at a point in the domain."""
        if self.members is not self.options:
            return self
        return self._weighted(self.probabilities(theta)[0])

    def _weighted(self, P: Array) -> Self:
        """Let the alternatives stand for ``sum_i P(i | D) w_j(i)``, P of the rows (R,)."""
        sample, o = self.sample, self.options
        strata = int(sample.stratum.max()) + 1
        place = np.repeat(np.arange(o.n_cases), np.diff(o.offsets)) * strata + sample.stratum
        within = np.bincount(place, weights=P)[place]
        elsewhere = (1.0 - within) * np.exp(sample.correction)
        weight = P + (within - P) * sample.beside + elsewhere
        return replace(self, sample=replace(sample, expansion=weight), log_weight=np.log(weight))

    def _linearize(self, theta: Array) -> tuple[Linearization, Linearization]:
        at = self.options.design.at(theta)
        return at, at if self.members is self.options else self.members.design.at(theta)

    def _rows(self, at: Linearization, at_members: Linearization) -> tuple[Rows, Rows]:
        o, m = self.options, self.members
        return (
            Rows(at.X, at.offset, o.offsets, o.alternative, self.sample.correction),
            Rows(at_members.X, at_members.offset, m.offsets, m.alternative, self.log_weight),
        )

    def _derivatives(self, theta: Array, loglike_obs: Array, score_obs: Array) -> Evaluation:
        p, o, m = self.parameters, self.options, self.members
        U = p.n_utility
        at, at_members = self._linearize(theta[:U])
        bends = not o.design.linear
        score_options = np.empty(len(o.alternative)) if bends else _NONE
        score_members = np.empty(len(m.alternative)) if bends else _NONE
        llf, score, hessian = sampled_derivatives(
            *self._rows(at, at_members),
            o.chosen,
            o.weights,
            at.beta,
            p.lambdas(theta),
            p.slot,
            self.parent,
            p.rum,
            p.n_free,
            loglike_obs,
            score_obs,
            score_options,
            score_members,
        )
        if bends:
            hessian[:U, :U] += o.design.curvature(theta[:U], at, score_options)
            hessian[:U, :U] += m.design.curvature(theta[:U], at_members, score_members)
        return llf, score, hessian


def _without_singletons(tree: NestTree) -> NestTree:
    """Hang the only member of a nest on what the nest hangs on, and the empty nest on the root."""
    J, M = len(tree.alternatives), len(tree.nests)
    parent = tree.parent.copy()
    for m in range(M):
        inside = np.flatnonzero(parent == m)
        if len(inside) == 1 and inside[0] < J:
            parent[inside[0]], parent[J + m] = parent[J + m], M
    return replace(tree, parent=parent)


def _refuse_empty_nests(
    tree: NestTree, options: Observations, members: Observations, data: ChoiceData
) -> None:
    """Refuse samples for the logsums without any member of a nest that an option lies in."""
    M = len(tree.nests)

    def places(o: Observations) -> Ints:
        case = np.repeat(np.arange(o.n_cases), np.diff(o.offsets))
        return np.unique(case * (M + 1) + tree.parent[o.alternative])

    wanted = places(options)
    lost = np.setdiff1d(wanted[wanted % (M + 1) < M], places(members))
    if len(lost):
        case, nest = divmod(int(lost[0]), M + 1)
        raise DataError(
            f"the sample for the logsums holds no member of the nest '{tree.nests[nest]}' for the "
            f"case {data.case_ids[case]}, which is offered some ({len(lost):,} such pairs); draw "
            "more, with a stratum for each nest, or leave out logsums= to expand the choice sets."
        )


def _refuse_thin_nests(tree: NestTree, logsums: ChoiceData, members: Observations) -> None:
    """Refuse nests of which every sample holds one member alone, standing for several."""
    assert logsums.sample is not None
    J, M = len(tree.alternatives), len(tree.nests)
    alone = never_compared(tree, logsums)
    stands_for_more = np.zeros(M + 1, dtype=bool)
    several = np.abs(logsums.sample.correction) > 1e-9
    stands_for_more[tree.parent[members.alternative[several]]] = True
    for m, nest in enumerate(tree.nests):
        stands_for_more[tree.parent[J + m]] |= stands_for_more[m]
        if nest in alone and stands_for_more[m]:
            raise DataError(
                f"no sample holds two members of the nest '{nest}', so its lambda is not "
                "identified; draw more of it, with a stratum for each nest, or name the member of "
                "a nest of one in always=."
            )
