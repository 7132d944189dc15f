"""Which guard stopped a transaction is read from the server's own words, in whatever language it has them."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors as pg

from fairlead.adapters.postgres.errors import translated
from fairlead.adapters.postgres.settling import Part, refusal_of
from fairlead.ports.errors import CorruptionError, FairleadError, UnstorableValue

PARTS = [Part("steps", {}, 1), Part("new_tasks", {}, 12), Part("runs", {}, 2)]

SENTENCES = {
    "en": 'invalid input syntax for type integer: "%s"',
    "de": "ungültige Eingabesyntax für Typ integer: »%s«",
    "es": "la sintaxis de entrada no es válida para tipo integer: «%s»",
    "fr": "syntaxe en entrée invalide pour le type integer : « %s »",
    "ja": '"integer"型の入力構文が不正です: "%s"',
    "ko": 'integer 자료형 대한 잘못된 입력: "%s"',
    "ru": 'неверный синтаксис для типа integer: "%s"',
    "zh_CN": '无效的类型 integer 输入语法: "%s"',
}
"""As the catalogues of PostgreSQL 15 say it."""


def _translated(error: psycopg.Error) -> FairleadError:
    with pytest.raises(FairleadError) as caught, translated(committing=True):
        raise error
    return caught.value


@pytest.mark.fault(28)
@pytest.mark.parametrize("language", SENTENCES)
def test_a_guard_is_known_by_its_counts_in_any_language(language: str) -> None:
    """The first part of which another number of rows was written than it has."""
    error = _translated(pg.InvalidTextRepresentation(SENTENCES[language] % "wrote {1,11,2}"))
    refusal = refusal_of(PARTS, error)

    assert isinstance(refusal, CorruptionError)
    assert str(refusal) == "writing new tasks: 12 rows expected, 11 found as they should be"


@pytest.mark.parametrize(
    "error",
    [
        pg.InvalidTextRepresentation('invalid input syntax for type json\nDETAIL:  Token "wrote {1,11,2}" is invalid.'),
        pg.UntranslatableCharacter('unsupported Unicode escape sequence in "wrote {1,11,2}"'),
        pg.UniqueViolation('duplicate key value violates unique constraint "wrote {1,11,2}"'),
    ],
    ids=["what is quoted in a detail", "another refusal of a value", "another error"],
)
def test_what_somebody_stores_is_not_taken_for_a_guard(error: psycopg.Error) -> None:
    """Only the server's first line counts, of the error that a guard makes it raise."""
    assert refusal_of(PARTS, _translated(error)) is None


def test_a_value_that_cannot_be_stored_stays_what_it_is() -> None:
    """No guard is blamed for it."""
    error = _translated(pg.InvalidTextRepresentation("invalid input syntax for type json"))

    assert isinstance(error, UnstorableValue)
    assert refusal_of(PARTS, error) is None
