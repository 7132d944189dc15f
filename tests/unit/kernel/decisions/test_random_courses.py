"""The decisions over random flows and random courses, on a store of dictionaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fairlead.ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK
from tests.support.random_course import Course
from tests.support.random_flows import random_maps

SEEDS = st.integers(0, 2**32).map(Random)


def lose_leases(course: Course, random: Random) -> None:
    """A host takes a task and is not heard of again until its lease is over, perhaps."""
    course.claim_a_task(random)
    course.pass_time(random)
    course.reap(random)


OCCURRENCES: tuple[Callable[[Course, Random], None], ...] = (
    *[Course.work] * 5,
    *[Course.settle_anything] * 2,
    *[Course.pass_time] * 2,
    *[Course.wake] * 2,
    *[Course.send_a_signal] * 2,
    Course.claim_pending_runs,
    Course.claim_a_task,
    Course.reap,
    lose_leases,
    Course.expire,
    Course.rerun_a_run,
)
MAP_OCCURRENCES = (*[Course.work] * 8, Course.settle_anything, Course.claim_pending_runs, Course.rerun_a_run)

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


class Machine(RuleBasedStateMachine):
    """Courses that hypothesis makes up, and makes short where something is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.course: Course | None = None

    @initialize(random=st.randoms(use_true_random=False))
    def start(self, random: Random) -> None:
        """Put some runs down."""
        self.course = Course(random)

    @rule(occurrence=st.sampled_from([*OCCURRENCES, Course.cancel_a_run]), random=SEEDS)
    def go_on(self, occurrence: Callable[[Course, Random], None], random: Random) -> None:
        """Something happens."""
        assert self.course is not None
        occurrence(self.course, random)

    def teardown(self) -> None:
        """Every run comes to its end."""
        if self.course is not None:
            self.course.end()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("first", range(0, SEEDS_MAX, SEEDS_AT_ONCE))
def test_long_courses(first: int) -> None:
    """Everything happens many times, in any order; with a cancel somewhere in every third."""
    came_about = Counter[str]()
    for seed in range(first, first + SEEDS_AT_ONCE):
        random = Random(seed)
        course = Course(random)
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
        course = Course(random, random_maps, (3, 4, 6))
        _begin_anew(course, random)
        came_about += _came_about(course)

    assert [what for what in TURNS_OF_MAPS if not came_about[what]] == []


def _came_about(course: Course) -> Counter[str]:
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


def _begin_anew(course: Course, random: Random) -> None:
    for _ in range(GENERATIONS):
        for _ in range(random.choice([5, 10, 20])):
            random.choice(MAP_OCCURRENCES)(course, random)
        course.end()
        course.rerun_a_run(random)
    course.end()
