"""A choice model with pylogit's methods: estimated in place, its results attributes."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import EstimationError, NestflowWarning, SpecificationError
from choicemodels.logit.likelihood import never_compared
from choicemodels.logit.models import MultinomialLogit, NestedLogit
from choicemodels.logit.tree import build_tree
from choicemodels.mixed.parameters import MixedParameters
from choicemodels.mixed.specification import MixedLogit
from estimation.choice.result import ChoiceResult
from estimation.fit import fit
from estimation.pylogit.estimates import PylogitEstimates
from estimation.pylogit.specification import Columns, Specification

__all__ = ["CovarianceKind", "Model", "PylogitModel"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
CovarianceKind: TypeAlias = Literal["hessian", "bhhh"]
Model: TypeAlias = MultinomialLogit | NestedLogit | MixedLogit


class PylogitModel:
    """A choice model that ``fit_mle`` estimates in place, as pylogit's do.

    After ``fit_mle`` it has the attributes of
    :class:`~estimation.pylogit.estimates.PylogitEstimates`, pylogit's by name: ``params``,
    ``coefs``, ``standard_errors``, ``summary``, and so on. ``result`` is the same fit in
    nestflow's words, to go on from.

    Attributes
    ----------
    columns : Columns
    data : ChoiceData
        With the columns that the specification needed.
    specification : Specification
    model : MultinomialLogit, NestedLogit or MixedLogit
        The specification as ``fit`` takes it.
    title : str
    """

    def __init__(
        self,
        columns: Columns,
        data: ChoiceData,
        rows: Ints,
        specification: Specification,
        model: Model,
        title: str,
        cov: CovarianceKind,
    ) -> None:
        self.columns = columns
        self.data = data
        self.specification = specification
        self.model = model
        self.title = title
        self._rows = rows
        self._cov = cov
        self._estimates: PylogitEstimates | None = None

    def __repr__(self) -> str:
        state = "not yet estimated" if self._estimates is None else repr(self._estimates.result)
        return f"<PylogitModel: {self.title}, {state}>"

    def __getattr__(self, name: str) -> Any:
        if name not in self._later():
            raise AttributeError(f"a {type(self).__name__} has no attribute '{name}'.")
        if self._estimates is None:
            raise AttributeError(f"'{name}' is there once the model is estimated: call fit_mle.")
        return getattr(self._estimates, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._later()})

    @staticmethod
    def _later() -> list[str]:
        """Return the attributes that fit_mle leaves."""
        return ["result", *(name for name in dir(PylogitEstimates) if not name.startswith("_"))]

    @property
    def nest_names(self) -> list[str] | None:
        """Names of the nests; None without."""
        return list(self.model.nests) if isinstance(self.model, NestedLogit) else None

    @property
    def ind_var_names(self) -> list[str]:
        """Names of the coefficients of the index, and of the spreads of the random ones."""
        return list(self.parameters)[len(self.nest_names or ()) :]

    @property
    def parameters(self) -> dict[str, str]:
        """What the fit calls each of pylogit's parameters: nests, coefficients, spreads."""
        nests = {nest: f"lambda:{nest}" for nest in self.nest_names or []}
        own = {c.name: c.parameter for c in self.specification.coefficients}
        name_of = {parameter: name for name, parameter in own.items()}
        varying = self.model.random if isinstance(self.model, MixedLogit) else ()
        spreads = {f"Sigma {name_of[parameter]}": f"sd:{parameter}" for parameter in varying}
        return nests | own | spreads

    def fit_mle(
        self,
        init_vals: Sequence[float] | Array,
        num_draws: int | None = None,
        seed: int | None = None,
        *,
        constrained_pos: Sequence[int] | None = None,
        print_res: bool = True,
        method: str | None = None,
        loss_tol: float | None = None,
        gradient_tol: float | None = None,
        maxiter: int | None = None,
        ridge: float | None = None,
        just_point: bool = False,
    ) -> None:
        """Estimate the model by maximum likelihood; the results become attributes.

        Parameters
        ----------
        init_vals
            Starting values in the order of :attr:`parameters`: the log-odds of the nests'
            dissimilarities first, the spreads of random coefficients last.
        num_draws, seed
            For a mixed logit: Halton draws for each decision maker, and what randomizes them.
        constrained_pos
            Positions of the parameters to hold at their starting values.
        print_res
            Without effect: nothing is printed.
        method, loss_tol, gradient_tol, maxiter
            Without effect: the search is a trust-region Newton with the exact Hessian.
        ridge, just_point
            Not offered.

        Raises
        ------
        SpecificationError
            If a starting value or position is wrong, or an option is not offered.
        DataError, IdentificationError, EstimationError
            As :func:`~estimation.fit`.

        Warns
        -----
        NestflowWarning
            If a dissimilarity has no log-odds, options have no effect, or as ``fit`` does.
        """
        _refuse_options(ridge, just_point)
        model = self._simulating(num_draws, seed)
        _warn_optimiser(
            method=method, loss_tol=loss_tol, gradient_tol=gradient_tol, maxiter=maxiter
        )
        initial = self._initial(init_vals)
        values = dict(zip(self.parameters.values(), initial, strict=True))
        for own in list(values)[: len(self.nest_names or ())]:
            values[own] = float(special.expit(values[own]))
        for nest in self._never_compared():
            del values[f"lambda:{nest}"]
        held = [own for own in self._held(constrained_pos) if own in values]
        equations = tuple(f"`{own}` = {np.format_float_positional(values[own])}" for own in held)
        result = fit(
            replace(model, constraints=equations),
            self.data,
            cov=self._cov,
            start=values,
        )
        self._keep(result, initial)

    def _simulating(self, num_draws: int | None, seed: int | None) -> Model:
        """Return the model with so many draws, if it takes any."""
        if not isinstance(self.model, MixedLogit):
            _refuse_draws(num_draws, seed)
            return self.model
        if num_draws is None:
            raise SpecificationError(
                "a mixed logit needs num_draws=, the number of draws for each decision maker; 500 "
                "is a start, and estimates that stay as they are with more are the end."
            )
        return replace(self.model, draws=int(num_draws), seed=int(seed or 0))

    def _never_compared(self) -> frozenset[str]:
        """Return the nests that never offer two members at once, whose lambda the fit fixes."""
        if not isinstance(self.model, NestedLogit):
            return frozenset()
        return never_compared(build_tree(self.model.nests, self.data.alternatives), self.data)

    def _initial(self, init_vals: Sequence[float] | Array) -> Array:
        initial = np.array(init_vals, dtype=np.float64)
        names = list(self.parameters)
        if initial.shape != (len(names),) or not np.isfinite(initial).all():
            raise SpecificationError(
                f"init_vals must hold {len(names)} finite numbers, one for each of: "
                f"{', '.join(names)}; it has the shape {initial.shape}."
            )
        return initial

    def _held(self, positions: Sequence[int] | None) -> list[str]:
        """Return what the fit calls the parameters to hold."""
        own = list(self.parameters.values())
        for position in positions or ():
            if not 0 <= position < len(own):
                raise SpecificationError(
                    f"constrained_pos holds {position}; the positions go from 0 to {len(own) - 1}."
                )
        return [own[position] for position in sorted(set(positions or ()))]

    def _keep(self, result: ChoiceResult, initial: Array) -> None:
        estimates = PylogitEstimates(
            result,
            self.title,
            self.parameters,
            tuple(self.nest_names or ()),
            initial,
            self.columns.choice,
        )
        for nest in estimates.without_log_odds:
            warnings.warn(
                f"the parameter of the nest '{nest}' is NaN: its dissimilarity is not below one "
                "and has no log-odds; it stands in result.params.",
                NestflowWarning,
                stacklevel=3,
            )
        self._estimates = estimates

    def _fitted(self, purpose: str) -> PylogitEstimates:
        if self._estimates is None:
            raise EstimationError(f"{purpose} needs an estimated model; call fit_mle first.")
        return self._estimates

    @property
    def long_fitted_probs(self) -> Array:
        """Probabilities of all rows of the data, in their order."""
        P = self._fitted("long_fitted_probs").result.predict()["probability"].to_numpy()
        return self._in_order(P, self._rows)

    @property
    def fitted_probs(self) -> Array:
        """Probability of what each choice situation chose, in order of first appearance."""
        P = self._fitted("fitted_probs").result.predict()["probability"].to_numpy()
        return np.asarray(P[self.data.chosen])

    def predict(
        self,
        data: Any,
        param_list: Sequence[Array | None] | None = None,
        return_long_probs: bool = True,
        choice_col: str | None = None,
        num_draws: int | None = None,
        seed: int | None = None,
    ) -> Array | tuple[Array, Array]:
        """Return choice probabilities for new data.

        Parameters
        ----------
        data
            Long table with the columns of the estimation; the choices are not needed.
        param_list
            Other parameters than the estimated ones: ``[coefs, None, None, nests]``, arrays of
            shape (K,) and (M,), or (K, S) and (M, S) for S sets of parameters.
        return_long_probs
            Whether to return the probabilities of all rows.
        choice_col
            Column of the choices; with it, those of the chosen alternatives are returned, too.
        num_draws, seed
            For a mixed logit; those of the estimation by default.

        Returns
        -------
        ndarray or tuple
            Probabilities of the R rows in the order of ``data``, (R,) or (R, S); with
            ``choice_col`` the pair (chosen, all), and without ``return_long_probs`` those of the
            chosen alone, (N,) or (N, S).

        Raises
        ------
        SpecificationError
            If ``param_list`` does not fit the model, or nothing is asked for.
        DataError
            If a column is missing or unusable.
        """
        result = self._redrawn(num_draws, seed)
        if not return_long_probs and choice_col is None:
            raise SpecificationError(
                "predict() was asked neither for all probabilities nor for those of the chosen "
                "alternatives; give choice_col=, or leave return_long_probs at True."
            )
        frame, rows = self.columns.read(data, choice_col)
        frame = self.specification.columns(frame, self.columns.alternative)
        choices = self.columns.data(frame, choice_col)
        sets = [
            replace(result, theta=theta).predict(choices)["probability"].to_numpy()
            for theta in self._thetas(result, param_list)
        ]
        several = param_list is not None and np.asarray(param_list[0]).ndim == 2
        P = np.column_stack(sets) if several else sets[0]
        everything, chosen = self._in_order(P, rows), P[choices.chosen]
        if choice_col is None:
            return everything
        return (chosen, everything) if return_long_probs else chosen

    def _redrawn(self, num_draws: int | None, seed: int | None) -> ChoiceResult:
        """Return the fit with other draws, if any are asked for."""
        result = self._fitted("predict()").result
        if not isinstance(result.parameters, MixedParameters):
            _refuse_draws(num_draws, seed)
            return result
        own = result.parameters
        draws = own.draws if num_draws is None else int(num_draws)
        parameters = replace(own, draws=draws, seed=own.seed if seed is None else int(seed))
        return replace(result, parameters=parameters)

    @staticmethod
    def _in_order(P: Array, rows: Ints) -> Array:
        """Put the rows of the sorted table back to where the user has them."""
        ordered = np.empty_like(P)
        ordered[rows] = P
        return ordered

    def _thetas(
        self, result: ChoiceResult, param_list: Sequence[Array | None] | None
    ) -> list[Array]:
        """Return the parameter vectors to predict with, in the order of the fit."""
        if param_list is None:
            return [result.theta]
        M = len(self.nest_names or ())
        K = len(self.parameters) - M
        shapes = [np.shape(part) if part is not None else None for part in param_list]
        sets = shapes[0][1:] if shapes and shapes[0] else ()
        if shapes != [(K, *sets), None, None, (M, *sets) if M else None] or len(sets) > 1:
            raise SpecificationError(
                f"param_list must be [coefs, None, None, {'nests' if M else 'None'}] with {K} "
                f"coefficients{f' and {M} parameters of nests' if M else ''}; the shapes given are "
                f"{shapes}."
            )
        coefs = np.array(param_list[0], dtype=np.float64).reshape(K, -1)
        nests = np.array(param_list[3] if M else [], dtype=np.float64).reshape(M, coefs.shape[1])
        values = np.vstack([special.expit(nests), coefs])
        own = dict(zip(self.parameters.values(), values, strict=True))
        return list(np.array([own[name] for name in result.parameters.names]).T)


def _refuse_options(ridge: float | None, just_point: bool) -> None:
    if ridge is not None:
        raise SpecificationError(
            "ridge= is not offered: a penalized estimate has no valid standard errors; leave it "
            "out, or put bounds on the parameters of `model` and use fit()."
        )
    if just_point:
        raise SpecificationError(
            "just_point= is not offered, because the standard errors cost nothing here; leave it "
            "out and read the attribute params."
        )


def _refuse_draws(num_draws: int | None, seed: int | None) -> None:
    if num_draws is not None or seed is not None:
        raise SpecificationError(
            "num_draws and seed belong to a 'Mixed Logit'; this model makes no draws."
        )


def _warn_optimiser(**given: Any) -> None:
    named = [f"{name}=" for name, value in given.items() if value is not None]
    if named:
        warnings.warn(
            f"{', '.join(named)} without effect: the search is a trust-region Newton with the "
            "exact Hessian, to the precision of the machine.",
            NestflowWarning,
            stacklevel=3,
        )
