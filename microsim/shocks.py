"""What happens to the economy: shocks that a scenario may name."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from choicemodels.frames import closest
from microsim.assumptions.synthesis import INDUSTRIES
from microsim.scenario_part import CBSA, Lasting, Part, Starting

__all__ = [
    "AIAdoption",
    "AIDisplacement",
    "ExposureTable",
    "HazardPoint",
    "PlantClosing",
    "Recession",
    "RemoteWork",
    "Shock",
    "exposure_path",
]

Share = Annotated[float, Field(ge=0, le=1)]


class HazardPoint(Part):
    """A point of a hazard path.

    Before the first point the path is zero, between points it is linear, after the last constant.

    Attributes
    ----------
    month
        Months since the shock began, from 0.
    rate
        Monthly probability of displacement at full exposure in a firm with multiplier 1.
    """

    month: int = Field(ge=0)
    rate: float = Field(ge=0, le=1)


class AIDisplacement(Starting):
    """Jobs that AI takes over, by the occupation's exposure and the employer's adoption stage.

    The monthly hazard of an employed worker is ``1 - (1 - path(t))**(exposure * multiplier)``.

    Attributes
    ----------
    start_month, start
        First month, counted from 0 or of the calendar.
    hazard
        Path of the hazard, in ascending months.
    spread_months
        The shock reaches the metros one after the other, those with the most exposed workers
        first, over so many months; 0 reaches all at once.
    """

    kind: Literal["ai_displacement"]
    hazard: tuple[HazardPoint, ...] = Field(min_length=1)
    spread_months: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ascending(self) -> "AIDisplacement":
        months = [point.month for point in self.hazard]
        if any(b <= a for a, b in pairwise(months)):
            raise ValueError(f"the months of the hazard path are {months}; put them in order")
        return self


class Recession(Lasting):
    """A recession that may come, or one that does; see `microsim.processes.macro`.

    Attributes
    ----------
    timing
        "chain" draws it: in each month at risk it starts with the hazard that adds up to
        ``macro.recession_probability`` in a year, and it ends at random. "fixed" dates it.
    start_month, end_month, start, end
        First and last month at risk of a start, or of the recession itself if it is fixed,
        counted from 0 or of the calendar. The defaults are the year 2025 of a simulation that
        starts in January 2024; a fixed recession's end must be given.
    severity
        Power to which the factors of the recession are raised: 1 as they are, 0 without effect.
    """

    kind: Literal["recession"]
    timing: Literal["chain", "fixed"] = "chain"
    start_month: int = Field(default=12, ge=0)
    end_month: int = Field(default=23, ge=0)
    severity: float = Field(default=1.0, ge=0, le=10)

    @model_validator(mode="after")
    def _dated(self) -> "Recession":
        ends = self.end is not None or "end_month" in self.model_fields_set
        if self.timing == "fixed" and not ends:
            raise ValueError(
                "a fixed recession has no end; give its last month as end_month or end, or set "
                "timing to chain"
            )
        return self


class AIAdoption(Starting):
    """Firms that go on adopting AI, stage by stage; see `microsim.processes.adoption`.

    Without it every firm stays at the stage that the population gives it.

    Attributes
    ----------
    trajectory
        "slow", "base" or "fast": the factors on all intensities are ``adoption.slow_factor``, 1
        and ``adoption.fast_factor``.
    start_month, start
        First month, counted from 0 or of the calendar.
    """

    kind: Literal["ai_adoption"]
    trajectory: Literal["slow", "base", "fast"] = "base"


class PlantClosing(Starting):
    """Firms of one metro that close for good, in ``start_month``.

    Their workers lose their jobs and count as displaced; see `microsim.processes.closing`. Which
    firms close is said by one of ``firm``, ``industry`` and ``share``.

    Attributes
    ----------
    metro
        CBSA code.
    firm
        "largest": the firm that employs the most workers at that time.
    industry
        Every firm of this industry, one of `INDUSTRIES`.
    share
        Share of the metro's employment: firms close from the largest down, but for those that
        would take more than it.
    """

    kind: Literal["plant_closing"]
    metro: CBSA
    firm: Literal["largest"] | None = None
    industry: str | None = None
    share: Share | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> "PlantClosing":
        given = [name for name in ("firm", "industry", "share") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give one of firm, industry and share, not {found}")
        if self.industry is not None and self.industry not in INDUSTRIES:
            raise ValueError(
                f"industry is '{self.industry}'{closest(self.industry, INDUSTRIES)}; use one of "
                f"{', '.join(INDUSTRIES)}"
            )
        return self

    @property
    def metros_named(self) -> dict[str, tuple[str, ...]]:
        """The CBSA codes that it names, by the key that names them."""
        return {"metro": (self.metro,)}


class ExposureTable(Starting):
    """Occupations whose exposure to AI becomes another, from ``start_month`` on.

    Attributes
    ----------
    values
        Exposure, 0 to 1, by SOC major group ("43-0000"). Occupations that are not named keep
        theirs.
    file
        A CSV file that has them instead, as `load_exposure` reads it; relative to the scenario's
        own file. It is read once: ``values`` is what the scenario keeps.
    """

    kind: Literal["exposure"]
    values: dict[str, Share] = Field(min_length=1)
    file: str | None = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("file"), str):
            return content
        if "values" in content:
            raise ValueError("values and file are both given; give one of the two")
        from microsim.people.exposure import load_exposure

        table = load_exposure(content["file"], fill=False)
        return {**content, "values": dict(zip(table["soc"], table["exposure"], strict=True))}

    @model_validator(mode="after")
    def _known(self) -> "ExposureTable":
        from microsim.people.exposure import load_exposure

        known = list(load_exposure()["soc"])
        unknown = [code for code in self.values if code not in known]
        if unknown:
            raise ValueError(
                f"'{unknown[0]}' is no SOC major group{closest(unknown[0], known)}; use codes such "
                f"as '{known[0]}'"
            )
        return self


class RemoteWork(Starting):
    """Firms that let their staff work from anywhere; see `microsim.processes.remote`.

    Attributes
    ----------
    share
        Share of firms that become remote, if all of their staff's jobs can be done from anywhere;
        of other firms in proportion to the jobs that can.
    months
        Over which they do, evenly.
    start_month, start
        First month, counted from 0 or of the calendar.
    """

    kind: Literal["remote_work"]
    share: Share
    months: int = Field(default=1, ge=1)


Shock: TypeAlias = Annotated[
    AIDisplacement | AIAdoption | Recession | PlantClosing | ExposureTable | RemoteWork,
    Field(discriminator="kind"),
]


def exposure_path(
    shocks: Sequence[Starting], soc: Sequence[str], exposure: NDArray[np.float64], months: int
) -> NDArray[np.float64]:
    """Return every occupation's exposure month by month, (T, O).

    Parameters
    ----------
    shocks
        Of a scenario; of several tables for an occupation, the one that began last holds.
    soc : (O,)
        Codes of the occupations.
    exposure : (O,)
        Of the population.
    months
        T.
    """
    path = np.repeat(exposure[None, :], months, axis=0)
    tables = [shock for shock in shocks if isinstance(shock, ExposureTable)]
    for table in sorted(tables, key=lambda table: table.start_month):
        for o, code in enumerate(soc):
            if code in table.values:
                path[table.start_month :, o] = table.values[code]
    return path
