"""MODULE:KERNEL: what is found, and what is said when it is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli.command import DatabaseChoice
from fairlead.hosts.cli.loading import TargetNotFound, TargetUnusable, build_kernel, find_target, takes_ports
from fairlead.hosts.cli.serving import DatabaseNotTaken, open_kernel
from fairlead.kernel import FlowDefinitionError, Kernel

SOURCE = """
from fairlead.adapters.memory import memory_ports
from fairlead.kernel import Flow, Kernel, Ports

greet = Flow("greet", version=1)

@greet.step
def hello(input: str) -> str:
    return f"hello {input}"

ready = Kernel(flows=[greet], ports=memory_ports())

def own() -> Kernel:
    return Kernel(flows=[greet], ports=memory_ports())

def given(ports: Ports) -> Kernel:
    return Kernel(flows=[greet], ports=ports)

def given_more(ports: Ports, *, strict: bool = True) -> Kernel:
    return Kernel(flows=[greet], ports=ports)

class Wiring:
    kernel = ready

def raising() -> Kernel:
    raise RuntimeError("boom")

def nothing() -> None: ...
async def later() -> Kernel: ...
def wants(a, b): ...
"""

_numbers = count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder; it is gone afterwards."""
    name = f"loading_example_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield name
    for imported in set(sys.modules) - before:
        del sys.modules[imported]


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("ready", False),
        ("own", False),
        ("given", True),
        ("given_more", True),
        ("greet", True),
        ("Wiring.kernel", False),
    ],
)
def test_a_kernel_or_what_makes_one_is_found(module: str, name: str, ports: bool) -> None:
    """Kernels, functions that take nothing or `ports`, and flows, also as attributes of something."""
    target = f"{module}:{name}"
    found = find_target(target)
    given = memory_ports() if ports else None

    assert takes_ports(target, found) is ports
    kernel = build_kernel(target, found, given)
    assert [flow.slug for flow in kernel.flows] == ["greet"]
    assert given is None or kernel.ports is given


@pytest.mark.parametrize("target", ["app", "app:", ":kernel", ""])
def test_the_form_is_explained(target: str) -> None:
    """Without a module or a name there is nothing to look for."""
    with pytest.raises(TargetNotFound, match=r"write MODULE:NAME, as in myapp\.flows:kernel"):
        find_target(target)


def test_a_missing_module_is_answered_with_the_nearest(module: str) -> None:
    """A typing mistake finds the module beside it, in the current folder and in packages."""
    with pytest.raises(TargetNotFound, match=f"there is no module '{module[:-2]}'; did you mean '{module}'"):
        find_target(f"{module[:-2]}:kernel")
    with pytest.raises(TargetNotFound, match=r"there is no module 'fairlead.hosts.dmo'; .* 'fairlead.hosts.demo'"):
        find_target("fairlead.hosts.dmo:kernel")
    with pytest.raises(TargetNotFound, match="there is no module 'qqqq'; is it in"):
        find_target("qqqq.rrrr:kernel")


def test_a_missing_name_is_answered_with_the_nearest(module: str) -> None:
    """A typing mistake finds the name; where none is near, the kernels are listed."""
    with pytest.raises(TargetNotFound, match=r"has no 'redy'; did you mean 'ready'\?"):
        find_target(f"{module}:redy")
    with pytest.raises(TargetNotFound, match="has no 'qqqq'; it has 'ready'"):
        find_target(f"{module}:qqqq")
    with pytest.raises(TargetNotFound, match=r"the class Wiring has no 'kernl'; did you mean 'kernel'\?"):
        find_target(f"{module}:Wiring.kernl")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("later", "it is an async function"),
        ("wants", "it wants 'a', 'b'"),
        ("__name__", "it is of type str; expected a Kernel, a function that returns one .* or a flow"),
        ("Kernel", "it wants 'flows', 'ports'"),
    ],
)
def test_what_makes_no_kernel_is_refused(module: str, name: str, said: str) -> None:
    """The wrong thing is named for what it is, before anything is opened."""
    target = f"{module}:{name}"
    with pytest.raises(TargetUnusable, match=said):
        takes_ports(target, find_target(target))


@pytest.mark.parametrize(
    ("name", "said"),
    [("raising", r"calling it raised RuntimeError: boom \(.*line 26\)"), ("nothing", "it returned None, not a Kernel")],
)
def test_what_fails_to_make_a_kernel_is_told(module: str, name: str, said: str) -> None:
    """An error inside is told with its place, chained to the original."""
    target = f"{module}:{name}"
    with pytest.raises(TargetUnusable, match=said):
        build_kernel(target, find_target(target), None)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import surely_not_installed", "imports 'surely_not_installed', which is not installed here"),
        ("1 / 0", r"raised ZeroDivisionError: division by zero \(.*line 1\)"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("def broken(:", "raised SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told(module: str, tmp_path: Path, source: str, said: str) -> None:
    """What its import raises is told in one sentence."""
    name = f"{module}_bad"
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(TargetUnusable, match=said):
        find_target(f"{name}:kernel")


def test_a_wrong_flow_speaks_for_itself(module: str, tmp_path: Path) -> None:
    """A definition error is passed on as it is: it names the flow and says what to do."""
    name = f"{module}_flow"
    (tmp_path / f"{name}.py").write_text("from fairlead.kernel import Flow\nflow = Flow('no spaces', version=1)\n")
    with pytest.raises(FlowDefinitionError, match="no spaces"):
        find_target(f"{name}:kernel")


def test_a_database_cannot_be_chosen_for_a_kernel_that_has_one(module: str) -> None:
    """An option that could have no effect is refused."""
    choice = DatabaseChoice(url="postgresql://x", folder=None, schema=None)
    with pytest.raises(DatabaseNotTaken, match="brings its own database"), open_kernel(f"{module}:ready", choice):
        pass


def test_a_kernel_with_a_database_of_its_own_opens_no_other(module: str) -> None:
    """No server is started for it."""
    choice = DatabaseChoice(url=None, folder=None, schema=None)
    with open_kernel(f"{module}:own", choice) as source:
        assert source.database is None
        assert isinstance(source.make(), Kernel)
