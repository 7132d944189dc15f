"""Circumstances in which a safeguard is needed often, where worlds as they are drawn come to that too rarely.

Each changes what was drawn for a world, and nothing else: its flows, its hosts and its chance stay as they are. Such a
world is sound with the safeguard, or convicts nobody.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve

from fairlead.hosts.simulation.faults import Weather
from fairlead.hosts.simulation.setting import Setting
from tests.simulation.campaign.clients import Played

SHORT, LONG = timedelta(seconds=5), timedelta(seconds=30)


def zombies(plays: list[Played], setting: Setting) -> Setting:
    """Hosts stand still when a handler has ended, and come to tell of it when others have its task."""
    weather = evolve(setting.weather, paused_after=0.5, killed_after=0.0, killed=0.0)
    return evolve(setting, weather=weather, machines=2, serverless=0.0, lease=SHORT, kills=8)


def lost_answers(plays: list[Played], setting: Setting) -> Setting:
    """Nothing ever happens to hosts, but that answers are lost; and leases last."""
    return evolve(setting, weather=Weather(lost=0.15, latency_s=0.01), serverless=0.0, lease=LONG, kills=0)


def rarely_lost_answers(plays: list[Played], setting: Setting) -> Setting:
    """Answers are lost so rarely that the next one that is lost, after which hosts ask what they have, comes late."""
    weather = Weather(lost=0.05, latency_s=0.01)
    return evolve(setting, weather=weather, serverless=0.0, lease=LONG, poll_interval_s=10.0, storm_s=200.0, kills=0)


def crossing_answers(plays: list[Played], setting: Setting) -> Setting:
    """Answers are lost or come late, so that several are under way that name the same task."""
    weather = Weather(lost=0.15, delayed=0.15, latency_s=0.05)
    return evolve(setting, weather=weather, serverless=0.0, lease=LONG, kills=0)


def deploys(plays: list[Played], setting: Setting) -> Setting:
    """Hosts that have other flows come and go all the while."""
    weather = Weather(restart_every_s=3.0, latency_s=0.01)
    return evolve(setting, weather=weather, machines=3, storm_s=200.0)


def slow_store(plays: list[Played], setting: Setting) -> Setting:
    """The store takes long, so that much happens between two looks at it; hosts stand still, and clocks differ."""
    weather = Weather(delayed=0.15, pause_every_s=3.0, clock_offset_s=2.0)
    return evolve(setting, weather=weather, machines=3, lease=SHORT, kills=8)


def wrong_clocks(plays: list[Played], setting: Setting) -> Setting:
    """Clocks differ, and hosts die."""
    weather = evolve(setting.weather, clock_offset_s=2.0, kill_every_s=3.0)
    return evolve(setting, weather=weather, machines=3, lease=SHORT, kills=8)


def damaged_blobs(plays: list[Played], setting: Setting) -> Setting:
    """The blob store gives other bytes than were written."""
    return evolve(setting, weather=evolve(setting.weather, blobs=0.5))


def troubled_sinks(plays: list[Played], setting: Setting) -> Setting:
    """Sinks refuse, hang and accept parts."""
    return evolve(setting, weather=evolve(setting.weather, sink=0.5))


def reruns(plays: list[Played], setting: Setting) -> Setting:
    """Nobody cancels, and every run is run again from one of its steps."""
    for played in plays:
        played.cancelled = played.contested = played.twice = False
        played.rerun = True
    return setting
