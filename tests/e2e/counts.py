"""How often, in one place: small by default, the issue's counts with WAYMARK_SOAK=1."""

import os

SOAK = os.environ.get("WAYMARK_SOAK") == "1"


def pick(short, soak):
    return soak if SOAK else short


LATENCY_RUNS = pick(1, 3)  # the median of the runs counts
LATENCY_CHANGES = pick(5, 30)  # starts and stops of each side in a run
# the watch asks once a millisecond; the p99 of a handful of changes is one outlier
LATENCY_SLACK = pick(0.030, 0.003)
LATENCY_BACKGROUND = 20  # containers that have nothing to do with it
ROLLING_ROUNDS = pick(1, 5)
ROLLING_RATE = pick(500, 1500)  # requests a second
KILLS = pick(2, 20)  # SIGKILLs of Waymark under load
EVENT_CHANGES = pick(12, 300)  # operations while events are being lost
REGISTRY_CHANGES = pick(5, 30)  # of each kind, from COMMIT to the first 200
CUT_CHANGES = pick(60, 1000)  # rows changed while the connection is cut
EDITS = pick(400, 10000)  # misdeeds of the hostile editor
EDITS_A_ROUND = 20
MISDEEDS_EVERY = pick(2, 1)  # of those that are looked at one by one, every second or each
WAIT_ROUNDS = pick(15, 1000)  # switches over a network that loses, delays and repeats polls
SLOT_RACES = pick(20, 1000)  # two promotes at once
SLOT_KILLS = pick(16, 500)  # slot commands killed at any moment
DOWN_SECONDS = pick(3, 8)
FLAPPING_SECONDS = pick(16, 600)  # a container dies, or its health swings, for so long
ROUNDS = pick(3, 50)  # deploy, promote, cleanup
FALLBACKS = pick(3, 30)  # the active slot killed while the other is in grace
DEPLOYS_AT_FALLBACK = pick(6, 20)  # and a deploy, each time at another moment
SITE_RESTARTS_EVERY = pick(25, 1)  # of the kills in a change of site files, with a restart of Caddy
FOREIGN_ROUNDS = pick(40, 500)
SITES = pick(200, 1000)  # in a Caddy
SITES_REFUSED = pick(5, 50)  # of which it does not take so many
