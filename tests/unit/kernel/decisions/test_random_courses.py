"""The decisions over random flows and long random courses, on a store of dictionaries.

What is short enough to be read where it fails is in `test_effects`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from fairlead.ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK
from tests.support.random_course import RandomCourse
from tests.support.random_flows import random_maps


def lose_leases(course: RandomCourse, random: Random) -> None:
    """A host takes a task and is not heard of again until its lease is over, perhaps."""
    course.claim_a_task(random)
    course.pass_time(random)
    course.take_back(random)


OCCURRENCES: tuple[Callable[[RandomCourse, Random], None], ...] = (
    *[RandomCourse.work] * 5,
    *[RandomCourse.settle_anything] * 2,
    *[RandomCourse.pass_time] * 2,
    *[RandomCourse.look_at_waits] * 2,
    *[RandomCourse.send_a_signal] * 2,
    RandomCourse.claim_pending_runs,
    RandomCourse.claim_a_task,
    RandomCourse.take_back,
    lose_leases,
    RandomCourse.look_at_deadlines,
    RandomCourse.rerun_a_run,
)
MAP_OCCURRENCES = (
    *[RandomCourse.work] * 8,
    RandomCourse.settle_anything,
    RandomCourse.claim_pending_runs,
    RandomCourse.rerun_a_run,
)

OCCURRENCES_MAX = 60
"""In one long course. Most runs have ended by then."""

GENERATIONS = 4
"""How often runs that have ended begin anew in one long course, besides."""


ENDINGS = (
    *(f"run {status}" for status in sorted(TERMINAL_RUN)),
    *(f"step {status}" for status in sorted(TERMINAL_STEP)),
    *(f"task {status}" for status in sorted(TERMINAL_TASK)),
)
TURNS = ("attempt kept", "lease lost", "lease given back", "wait", "signal", "run begun anew")
TURNS_OF_MAPS = ("attempt kept", "run begun anew", "map retried", "map with gaps")
"""What must have come about in fifty courses: those in which it has not show nothing of it."""

SEEDS_MAX = 200
SEEDS_AT_ONCE = 50


@pytest.mark.parametrize("first", range(0, SEEDS_MAX, SEEDS_AT_ONCE))
def test_long_courses(first: int) -> None:
    """Everything happens many times, in any order; with a cancel somewhere in every third."""
    came_about = Counter[str]()
    for seed in range(first, first + SEEDS_AT_ONCE):
        random = Random(seed)
        course = RandomCourse(random)
        for number in range(OCCURRENCES_MAX):
            if seed % 3 == 0 and number == seed % OCCURRENCES_MAX:
                course.cancel_a_run(random)
            random.choice(OCCURRENCES)(course, random)
        course.end()
        _begin_anew(course, random)
        came_about += _came_about(course)

    assert [what for what in (*ENDINGS, *TURNS) if not came_about[what]] == []


@pytest.mark.parametrize("first", range(0, SEEDS_MAX // 2, SEEDS_AT_ONCE))
def test_generations_of_maps(first: int) -> None:
    """Elements that failed are retried, again and again, also in maps over maps that did, and with gaps."""
    came_about = Counter[str]()
    for seed in range(first, first + SEEDS_AT_ONCE):
        random = Random(seed)
        course = RandomCourse(random, random_maps, (3, 4, 6))
        _begin_anew(course, random)
        came_about += _came_about(course)

    assert [what for what in TURNS_OF_MAPS if not came_about[what]] == []


def _came_about(course: RandomCourse) -> Counter[str]:
    """How often in a course came about what it is for."""
    model = course.model
    steps = (*model.steps.values(), *model.past.values())
    seen = Counter[str]()
    seen.update(f"run {status}" for status in (*(run.status for run in model.runs.values()), *model.left.values()))
    seen.update(f"step {step.status}" for step in steps)
    seen.update(f"task {task.status}" for task in model.tasks.values())
    return seen + Counter(
        {
            "attempt kept": len(model.attempts),
            "lease lost": len(model.lost),
            "lease given back": len(model.released),
            "wait": len(model.phases),
            "signal": len(model.signals),
            "run begun anew": len(model.left),
            "map retried": sum(step.retry_of is not None for step in steps),
            "map with gaps": sum(step.gaps > 0 for step in steps),
        }
    )


def _begin_anew(course: RandomCourse, random: Random) -> None:
    for _ in range(GENERATIONS):
        for _ in range(random.choice([5, 10, 20])):
            random.choice(MAP_OCCURRENCES)(course, random)
        course.end()
        course.rerun_a_run(random)
    course.end()
