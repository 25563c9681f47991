"""Tables of people, row by row: what is known of each person, the outcome, and who they are.

    Hiring          5,000 fictional applicants, shipped with auditkit; see `auditkit.data.hiring`.
    Adult           48,842 people of the 1994 US census; does the income exceed 50,000 dollars?
                    Becker & Kohavi (1996), UCI Machine Learning Repository, doi:10.24432/C5XW20.
    German Credit   1,000 applicants for a loan of the 1970s; is the credit risk good?
                    Hofmann (1994), Statlog (German Credit Data), UCI Machine Learning Repository, doi:10.24432/C5NC77.

"?" in Adult is a missing value; it is kept as a value of its own. German Credit is small and its coding doubtful: the
published code book confuses foreign workers with others, and most likely marital status and sex of some applicants
(Groemping, 2019, South German Credit Data, Beuth University, report 4/2019). It tries methods out; it proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from auditkit import data as datasets
from auditkit.data.hiring import SENSITIVE as HIRING_SENSITIVE
from auditkit.errors import DataError
from auditkit.fairness.yes_no import yes_no
from auditkit.models.predictions import read_table

if TYPE_CHECKING:
    import pandas as pd

ADULT_SOURCE = "Becker & Kohavi (1996). Adult. UCI Machine Learning Repository, doi:10.24432/C5XW20"
HIRING_SOURCE = "auditkit contributors, fictional applicants with planted disparities, written for this package"
GERMAN_SOURCE = "Hofmann (1994). Statlog (German Credit Data). UCI Machine Learning Repository, doi:10.24432/C5NC77"

ADULT_COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education_years", "marital_status", "occupation", "relationship"),
    *("race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"),
)
ADULT_NUMERIC = ("age", "fnlwgt", "education_years", "capital_gain", "capital_loss", "hours_per_week")
GERMAN_COLUMNS = (
    *("status", "duration", "credit_history", "purpose", "amount", "savings", "present_employment"),
    *("installment_rate", "status_sex", "other_debtors", "residence_since", "property", "age", "installment_plans"),
    *("housing", "number_of_credits", "job", "dependents", "telephone", "foreign_worker", "credit"),
)
GERMAN_NUMERIC = (
    *("duration", "amount", "installment_rate", "residence_since", "age", "number_of_credits", "dependents"),
)
HIRING_NUMERIC = ("years_experience", "test_score", "interview", "career_break")
HIRING_PAST = 3_500
"""The first so many applicants are those of the past; the others apply now."""
ADULT_AGES = ((25, "25 or under"), (45, "26 to 45"), (65, "46 to 65"), (200, "over 65"))
GERMAN_AGES = ((25, "25 or under"), (200, "over 25"))


@dataclass(frozen=True, slots=True)
class PeopleTable:
    """A table of people.

    Attributes:
        rows: one row a person; the columns that a model may know, numbers as float and everything else as text.
        label: (n,) whether the outcome is the favourable one.
        sensitive: each attribute's (n,) values as texts.
        revealing: the columns of `rows` that say an attribute of `sensitive` outright.
        ids: (n,) file and line of each person.
        source: where the table is from.
    """

    rows: pd.DataFrame
    label: npt.NDArray[np.bool_]
    sensitive: dict[str, npt.NDArray[np.object_]]
    revealing: tuple[str, ...]
    ids: npt.NDArray[np.object_]
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", yes_no(self.label, "label"))

    def __len__(self) -> int:
        return len(self.label)

    def take(self, chosen: npt.NDArray[np.int64]) -> PeopleTable:
        """The people at these positions, in this order."""
        return PeopleTable(
            rows=self.rows.iloc[chosen].reset_index(drop=True),
            label=self.label[chosen],
            sensitive={name: values[chosen] for name, values in self.sensitive.items()},
            revealing=self.revealing,
            ids=self.ids[chosen],
            source=self.source,
        )


def read_hiring() -> tuple[PeopleTable, PeopleTable]:
    """Applicants of the past (3,500), labelled by who was invited, and new ones (1,500), by who would perform well.

    So it is where such models are built, save that nobody knows there how those who were turned down would have done.
    """
    table = read_table(datasets.locate("hiring") / "hiring.csv")
    past, new = table[:HIRING_PAST], table[HIRING_PAST:]
    return _applicants(past, past["prediction"]), _applicants(new, new["label"])


def read_adult(root: str | Path | None = None) -> tuple[PeopleTable, PeopleTable]:
    """The published training part (32,561 people) and test part (16,281).

    The census weight `fnlwgt` says how many people a row stands for, and `education` what `education_years` counts:
    both stay in `rows` and are no features of a task.

    Args:
        root: the folder of datasets that contains adult/; None finds it as `auditkit.data.locate` does.

    Raises:
        DataError: the files are not there (says where to get them), or a line is damaged.
    """
    folder = _folder("adult", root)
    train, test = (_adult(folder / name) for name in ("adult.data", "adult.test"))
    return train, test


def read_german_credit(root: str | Path | None = None) -> PeopleTable:
    """All 1,000 applicants; codes such as A93 are replaced by what they stand for.

    Args:
        root: the folder of datasets that contains german_credit/; None finds it as `auditkit.data.locate` does.

    Raises:
        DataError: the files are not there (says where to get them), or a line is damaged.
    """
    folder = _folder("german_credit", root)
    meanings = json.loads((folder / "values_maps.json").read_text(encoding="utf-8-sig"))
    rows, ids = _read(folder / "german.data", GERMAN_COLUMNS, GERMAN_NUMERIC, str.split)
    for column, names in meanings.items():
        unknown = set(rows[column]) - set(names)
        if unknown:
            raise DataError(f"german.data: {column} has the code {min(unknown)}, unknown to values_maps.json")
        rows[column] = [str(names[code]).strip() for code in rows[column]]
    sensitive = {
        "sex": _objects(text.split(" ")[0] for text in rows["status_sex"]),
        "age_group": _age_groups(rows["age"], GERMAN_AGES),
        "foreign_worker": _objects("yes" if text == "True" else "no" for text in rows["foreign_worker"]),
    }
    good = (rows.pop("credit") == "good").to_numpy()
    return PeopleTable(rows, good, sensitive, ("status_sex", "age", "foreign_worker"), ids, GERMAN_SOURCE)


def _applicants(table: pd.DataFrame, label: pd.Series[int]) -> PeopleTable:
    rows = table.drop(columns=["id", "label", "prediction", "score"]).reset_index(drop=True)
    return PeopleTable(
        rows=rows.assign(**{name: rows[name].astype(np.float64) for name in HIRING_NUMERIC}),
        label=(label == 1).to_numpy(),
        sensitive={name: _objects(rows[name]) for name in HIRING_SENSITIVE},
        revealing=HIRING_SENSITIVE,
        ids=_objects(f"applicant {number}" for number in table["id"]),
        source=HIRING_SOURCE,
    )


def _adult(path: Path) -> PeopleTable:
    rows, ids = _read(path, ADULT_COLUMNS, ADULT_NUMERIC, lambda line: [c.strip() for c in line.split(",")])
    income = rows.pop("income").str.rstrip(".")  # the labels of adult.test end with a full stop
    strange = set(income) - {">50K", "<=50K"}
    if strange:
        raise DataError(f"{path}: income {min(strange)!r}; expected >50K or <=50K")
    sensitive = {
        "sex": _objects(rows["sex"]),
        "race": _objects(rows["race"]),
        "age_group": _age_groups(rows["age"], ADULT_AGES),
    }
    return PeopleTable(rows, (income == ">50K").to_numpy(), sensitive, ("sex", "race", "age"), ids, ADULT_SOURCE)


def _folder(name: str, root: str | Path | None) -> Path:
    """The folder with all files of a dataset."""
    if root is None:
        return datasets.verified(name)
    folder = Path(root) / name
    missing = [file.name for file in datasets.find(name).files if not (folder / file.name).is_file()]
    if missing:
        raise DataError(
            f"{folder} has no {', '.join(missing)}; run `auditkit data fetch {name}` and leave out root, or give the "
            f"folder that contains {name}/"
        )
    return folder


def _read(
    path: Path, columns: Sequence[str], numeric: Sequence[str], split: Callable[[str], list[str]]
) -> tuple[pd.DataFrame, npt.NDArray[np.object_]]:
    """The lines of a file as rows, with the file and line of each; empty lines and notes ("|...") are left out."""
    import pandas as pd

    lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1)
    cells, ids = [], []
    for number, line in lines:
        if not line.strip() or line.startswith("|"):
            continue
        row = split(line)
        if len(row) != len(columns):
            raise DataError(f"{path}, line {number}: {len(row)} values; expected {len(columns)}: {', '.join(columns)}")
        cells.append(row)
        ids.append(f"{path.name}:{number}")
    if not cells:
        raise DataError(f"{path} has no rows; expected one line for each person")
    rows = pd.DataFrame(cells, columns=list(columns), dtype=object)
    try:
        numbers = {name: rows[name].astype(np.float64) for name in numeric}
    except ValueError as e:
        raise DataError(f"{path}: {e}; expected numbers in {', '.join(numeric)}") from e
    return rows.assign(**numbers), _objects(ids)


def _objects(values: Iterable[str]) -> npt.NDArray[np.object_]:
    return np.array(list(values), dtype=np.object_)


def _age_groups(ages: pd.Series[float], bounds: Sequence[tuple[int, str]]) -> npt.NDArray[np.object_]:
    """The name of the first bound that each age does not exceed."""
    edges = np.array([upper for upper, _ in bounds])
    names = np.array([name for _, name in bounds], dtype=object)
    return np.asarray(names[np.searchsorted(edges, ages.to_numpy(), side="left")], dtype=object)
