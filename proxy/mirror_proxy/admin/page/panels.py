"""Panels: the parts of the page that change by themselves, each made of a moment by a template of its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from mirror_proxy.admin.page import compared, controls, latency, outcomes, ramping, statuses, traffic
from mirror_proxy.admin.page.moment import Moment
from mirror_proxy.admin.page.pages import render

#: So many mirrors are shown with all that is known of them; a reader finds others by their names.
MOST_DETAILS = 6


def make(moment: Moment) -> dict[str, object]:
    """Return what each panel shows, by its name."""
    return {name: make_one(moment) for name, make_one in _PANELS.items()}


def draw(moment: Moment) -> dict[str, str]:
    """Return all panels by name, as HTML."""
    return {
        name: render(f"panel_{name}.html", moment=moment, shown=shown) for name, shown in make(moment).items()
    }


def _details(moment: Moment) -> list[dict[str, object]]:
    chosen = list(islice(moment.mirrors(), MOST_DETAILS))
    names = {name for route, mirror in chosen for name in (route, mirror.name)}
    moment = moment.about(names).of_late()
    ends = {row.name: row for row in outcomes.of(moment)}
    pairs = {row.mirror: row for row in statuses.of(moment)}
    return [
        {
            "mirror": mirror.name,
            "route": route,
            "latency": latency.of(moment, mirror.name, route),
            "outcomes": ends.get(mirror.name),
            "statuses": pairs.get(mirror.name),
        }
        for route, mirror in chosen
    ]


#: What each panel's template is given besides the moment, as `shown`.
_PANELS: Mapping[str, Callable[[Moment], object]] = {
    "standing": lambda moment: moment.info,
    "traffic": traffic.of,
    "controls": controls.of,
    "ramps": ramping.of,
    "details": _details,
    "compared": lambda moment: compared.of(moment.of_late()),
    "workers": lambda moment: moment.info.get("workers", ()),
}
