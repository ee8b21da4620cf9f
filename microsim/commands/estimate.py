"""Commands that estimate: ``fit`` and ``gravity``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from choicemodels.errors import SpecificationError
from microsim.commands.console import ERR, OUT, Out, TableFile, named_options, steps

if TYPE_CHECKING:
    from estimation import ChoiceResult, GravityResult
    from estimation.gravity.several import SeveralFits

__all__ = ["fit", "gravity"]

Cluster = Annotated[
    list[str] | None, typer.Option(help="Column to cluster by; repeat for several ways.")
]


def fit(
    data: Annotated[
        Path, typer.Argument(help="Table: .csv .parquet .dta, one row an alternative.")
    ],
    formula: Annotated[str, typer.Option(help="generic | of the case | of the alternative")],
    case: Annotated[str, typer.Option(help="Column of the case.")] = "case",
    alternative: Annotated[str, typer.Option(help="Column of the alternative.")] = "alternative",
    chosen: Annotated[str, typer.Option(help="Column that is 1 where chosen.")] = "chosen",
    nest: Annotated[
        list[str] | None, typer.Option(help="A nest, name=a,b,c; repeat. Without: multinomial.")
    ] = None,
    specific: Annotated[
        list[str] | None, typer.Option(help="Terms of one alternative, name=formula; repeat.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Alternative without constants.")] = None,
    normalization: Annotated[str, typer.Option(help="rum or nonnormalized.")] = "rum",
    lambdas: Annotated[str, typer.Option(help="free or shared.")] = "free",
    random: Annotated[
        list[str] | None, typer.Option(help="A random coefficient, name=normal; repeat: mixed.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of a mixed logit.")] = 500,
    correlated: Annotated[bool, typer.Option(help="Random coefficients correlate.")] = False,
    classes: Annotated[int, typer.Option(help="Classes of a latent-class logit.")] = 1,
    membership: Annotated[str, typer.Option(help="Formula of the class membership.")] = "",
    offset: Annotated[str, typer.Option(help="Expression with a coefficient of one.")] = "",
    constraint: Annotated[
        list[str] | None, typer.Option(help='Like "cost = -1"; repeat for several.')
    ] = None,
    panel: Annotated[str | None, typer.Option(help="Column of the decision maker.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File to stop at and go on from.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column of case weights.")] = None,
    available: Annotated[str | None, typer.Option(help="Column that is 0 where no option.")] = None,
    cov: Annotated[
        str, typer.Option(help="hessian, bhhh, robust; --cluster overrides.")
    ] = "robust",
    cluster: Cluster = None,
    out: Out = None,
    table_file: TableFile = None,
) -> None:
    """Estimate a multinomial, nested, mixed or latent-class logit.

    Example: nestflow fit data/travel_mode.csv --case individual --alternative mode
    --chosen choice --formula "gc + ttme" --nest ground=2,3,4 --base 4 --table nested.tex
    """
    from choicemodels import (
        ChoiceData,
        LatentClassLogit,
        MixedLogit,
        MultinomialLogit,
        NestedLogit,
    )
    from choicemodels.frames import read_table
    from estimation import fit as estimate
    from estimation.jsonfile import result_path

    if out is not None:
        result_path(out)
    nests = {
        name: [a.strip() for a in value.split(",")]
        for name, value in named_options(nest, "nest").items()
    }
    coefficients = named_options(random, "random")
    families: dict[str, tuple[Any, dict[str, Any]]] = {
        "--nest": (
            NestedLogit,
            {"nests": nests, "normalization": normalization, "lambdas": lambdas},
        ),
        "--random": (
            MixedLogit,
            {"random": coefficients, "draws": draws, "correlated": correlated},
        ),
        "--classes": (LatentClassLogit, {"classes": classes, "membership": membership}),
    }
    asked = [
        name
        for name, given in zip(
            families, (nests, coefficients, classes != 1 or membership), strict=True
        )
        if given
    ]
    if len(asked) > 1:
        raise SpecificationError(f"{' and '.join(asked)} are different models; choose one.")
    for option, needs, given in (
        ("--lambdas", "--nest", lambdas != "free"),
        ("--normalization", "--nest", normalization != "rum"),
        ("--correlated", "--random", correlated),
        ("--draws", "--random", draws != 500),
    ):
        if given and needs not in asked:
            raise SpecificationError(f"{option} belongs to {needs}; give that as well.")
    if membership and classes == 1:
        raise SpecificationError("--membership belongs to --classes; ask for two or more.")
    family, assumed = families[asked[0]] if asked else (MultinomialLogit, {})
    model = family(
        formula,
        specific=named_options(specific, "specific"),
        base=base,
        offset=offset,
        constraints=constraint or (),
        **assumed,
    )
    choices = ChoiceData.from_long(
        read_table(data), case, alternative, chosen,
        weights=weights, available=available, panel=panel,
    )  # fmt: skip
    options: dict[str, Any] = {"cov": "cluster", "groups": cluster} if cluster else {"cov": cov}
    with steps() as step:
        advance = step("Maximize the likelihood")
        result = estimate(
            model,
            choices,
            progress=lambda i, _: advance(i, i + 1),
            checkpoint=checkpoint,
            **options,
        )
    _show(result, out, table_file)


def gravity(
    data: Annotated[Path, typer.Argument(help="Table: .csv .parquet .dta, one row a flow.")],
    formula: Annotated[str, typer.Option(help='Like "log(distance) | origin + destination".')],
    origin: Annotated[str, typer.Option(help="Column of the origin.")] = "origin",
    destination: Annotated[str, typer.Option(help="Column of the destination.")] = "destination",
    flow: Annotated[str, typer.Option(help="Column of the flow.")] = "flow",
    time: Annotated[str | None, typer.Option(help="Column of the period.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column by which rows count.")] = None,
    offset: Annotated[str, typer.Option(help='Expression like "log(population)".')] = "",
    split: Annotated[str | None, typer.Option(help="Column: a fit for each value.")] = None,
    cov: Annotated[
        str, typer.Option(help="hessian, robust, HC0 to HC3, dyadic; CRV3 with --cluster.")
    ] = "robust",
    cluster: Cluster = None,
    ssc: Annotated[str, typer.Option(help="fixest, stata or none.")] = "fixest",
    out: Out = None,
    table_file: TableFile = None,
) -> None:
    """Estimate gravity models by Poisson pseudo-maximum likelihood.

    Stepwise parts, sw(a, b) and csw(a, b), and --split estimate several models into one table;
    --out is then a folder.

    Example: nestflow gravity data/austria_flows.csv --formula "distance | origin + destination"
    --cluster origin --table gravity.md
    """
    from choicemodels import FlowData
    from choicemodels.flows.stepwise import stepwise
    from choicemodels.frames import read_table
    from estimation.gravity.several import fit_several
    from estimation.jsonfile import result_path

    models = stepwise(formula, offset=offset)
    if out is not None and len(models) == 1 and split is None:
        result_path(out)
    if cluster and cov not in ("robust", "cluster", "CRV3"):
        raise SpecificationError(
            f"--cov {cov} does not go with --cluster; leave --cov out, or choose cluster or CRV3."
        )
    table = read_table(data, text=[origin, destination])
    flows = FlowData(table, origin=origin, destination=destination, flow=flow, time=time)
    options: dict[str, Any] = {"cov": cov}
    if cluster:
        options = {"cov": "CRV3" if cov == "CRV3" else "cluster", "groups": cluster}
    several = fit_several(models, flows, split=split, weights=weights, ssc=ssc, **options)
    if len(several) == 1:
        _show(several[0], out, table_file)
    else:
        _show_several(several, out, table_file)


def _show(
    result: "ChoiceResult | GravityResult", out: Path | None, table_file: Path | None
) -> None:
    from estimation import table

    OUT.print(str(result.summary()), soft_wrap=True)
    if out is not None:
        ERR.print(f"saved {result.save(out)}")
    if table_file is not None:
        ERR.print(f"saved {table(result).save(table_file)}")


def _show_several(several: "SeveralFits", out: Path | None, table_file: Path | None) -> None:
    labels = several.labels.to_string(index=False)
    shown = several.table()
    OUT.print(f"{shown}\n\n{labels}", soft_wrap=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for number, result in enumerate(several, start=1):
            ERR.print(f"saved {result.save(out / f'{number}.json')}")
    if table_file is not None:
        ERR.print(f"saved {shown.save(table_file)}")
