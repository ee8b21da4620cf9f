"""Make industry_occupations.csv from the OEWS of May 2025.

Run ``python data/make_industries.py``; the codebook is README.md beside this script.
"""

import pandas as pd
from _sources import query_oews, write

# The supersectors that the simulation knows, as the sectors that OEWS codes "first--next".
SECTORS = {
    "natural resources and construction": ["11--12", "21--22", "23--24"],
    "manufacturing": ["31--34"],
    "trade, transportation and utilities": ["22--23", "42--43", "44--46", "48--50"],
    "information": ["51--52"],
    "financial activities": ["52--53", "53--54"],
    "professional and business services": ["54--55", "55--56", "56--57"],
    "education and health services": ["61--62", "62--63"],
    "leisure and hospitality": ["71--72", "72--73"],
    "other services": ["81--82"],
    "government": ["99-100"],
}

QUERY = """
    SELECT substr(key, 12, 6) AS sector, substr(key, 18, 6) AS soc, v01 AS employment
    FROM cell
    WHERE substr(key, 4, 1) = 'N' AND substr(key, 5, 7) = '0000000'
          AND substr(key, 20, 4) = '0000' AND substr(key, 18, 6) <> '000000'
"""


def main() -> None:
    """Make the table: national employment by supersector and major group."""
    cells = query_oews(QUERY)
    names = {sector: name for name, sectors in SECTORS.items() for sector in sectors}
    cells["industry"] = cells["sector"].map(names)
    cells = cells.dropna(subset=["industry"])
    cells["soc"] = cells["soc"].str[:2] + "-" + cells["soc"].str[2:]
    # Cells that OEWS does not release or does not have are small: other rows add up without them.
    cells["employment"] = pd.to_numeric(cells["employment"], errors="coerce").fillna(0)
    table = cells.pivot_table("employment", "industry", "soc", aggfunc="sum", fill_value=0)
    long = table.reindex(list(SECTORS)).stack().astype(int).rename("employment").reset_index()
    write(long, "industry_occupations.csv")


if __name__ == "__main__":
    main()
