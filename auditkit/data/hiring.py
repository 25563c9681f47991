"""Fictional applicants and who of them was invited to an interview, with disparities that were planted and are known.

Half of every group would perform well in the job. Whether somebody was invited is a draw with this chance, in per cent:

    60 for those who would perform well, 30 for the others
     8 less for women, 8 more for men                 the sexes are 16 points apart in every rate
    12 less for people of the hills who would         as many of them are invited as of others, but fewer of the right
       perform well, 12 more for those who would not  ones: a true positive rate 12 points lower, a false one 12 higher
     9 less for parents under 40 and for the          neither age nor children makes a difference; crossed, the groups
       childless of 40 or over, 9 more for the rest   are 18 points apart

The last is what Kearns, Neel, Roth & Wu (2018, ICML) call fairness gerrymandering. Where people live makes no
difference at all. Of what a new model may learn from, the breaks in a career tell the sex: those of women are longer.

Only whole numbers from the bit generator's stream are used, which numpy keeps the same: a seed gives the same table on
every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from auditkit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Ints = npt.NDArray[np.int64]
SENSITIVE = ("sex", "origin", "age_group", "children", "residence")
EDUCATION = np.array(["school", "college", "degree"], dtype=object)


def applicants(n: int = 5_000, *, seed: int = 0) -> pd.DataFrame:
    """The shipped table, one row a person, or with another seed another table of the same make.

    The columns are id; those of `SENSITIVE`; what a model may know (years_experience, education, test_score from 20 to
    80, interview from 1 to 5, career_break in months); label, 1 for those who would perform well; prediction, 1 for
    those invited; score, above 0.5 for those invited.

    Raises:
        InputError: fewer than one person, or a seed below 0.
    """
    import pandas as pd

    if n < 1 or seed < 0:
        raise InputError(f"n={n}, seed={seed}; expected at least one person, and a seed of 0 or more")
    draw = Draws(np.random.PCG64(seed), n)
    # What is drawn in which order decides the table: add columns at the end only.
    woman, hills, under_40, parent, city, fit = map(draw.happens, (50, 30, 50, 50, 60, 50))
    margin = chance_of_invitation(woman, hills, under_40, parent, fit) - draw.below(100)
    return pd.DataFrame(
        {
            "id": np.arange(1, n + 1),
            "sex": np.where(woman, "woman", "man"),
            "origin": np.where(hills, "hills", np.where(draw.happens(50), "coast", "plain")),
            "age_group": np.where(under_40, "under 40", "40 or over"),
            "children": np.where(parent, "yes", "no"),
            "residence": np.where(city, "city", "town"),
            "years_experience": draw.below(10) + np.where(under_40, 0, 10) + 2 * fit,
            "education": EDUCATION[draw.below(2) + draw.happens(20 + 20 * fit)],
            "test_score": 20 + 12 * fit + draw.below(17) + draw.below(17) + draw.below(17),
            "interview": 1 + fit + draw.below(2) + draw.below(3),
            "career_break": draw.below(13) + woman * draw.below(25),
            "label": fit,
            "prediction": np.where(margin > 0, 1, 0),
            "score": (100 + margin) / 200,
        }
    )


def chance_of_invitation(woman: Ints, hills: Ints, under_40: Ints, parent: Ints, fit: Ints) -> Ints:
    """(n,) the chance in per cent: all that is planted. The arguments are 1 or 0 for each person."""
    merit = np.where(fit, 60, 30)
    by_sex = np.where(woman, -8, 8)
    by_origin = hills * np.where(fit, -12, 12)
    by_age_and_children = np.where(under_40 == parent, -9, 9)
    return merit + by_sex + by_origin + by_age_and_children


@dataclass(frozen=True, slots=True)
class Draws:
    """Whole numbers for `n` people at a time.

    Attributes:
        bits: where they come from.
        n: how many people.
    """

    bits: np.random.BitGenerator
    n: int

    def below(self, limit: int) -> Ints:
        """(n,) each of 0 to limit - 1 is as likely; limit / 2**32, by which that is untrue, is nothing here."""
        return (np.asarray(self.bits.random_raw(self.n)) >> np.uint64(32)).astype(np.int64) % limit

    def happens(self, percent: int | Ints) -> Ints:
        """(n,) 1 with this chance, else 0."""
        return (self.below(100) < percent).astype(np.int64)
