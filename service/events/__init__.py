"""Following what happens to an account: one reader of Redis, any number of followers.

    script --XADD--> darkroom:events:{account} --XREAD--> EventHub --> Follower (socket)
           --PUBLISH (a nudge) ------------------------------^

A follower is no task: it is a socket and a place in a stream, because thousands of
them wait here for hours. Whoever reads too slowly to be told now falls behind, and
is told from Redis later; so nothing is kept for anybody in memory.
"""

from service.events.events import TYPES, Event, job_word, told
from service.events.follower import Caller, Follower, Interest
from service.events.hub import EventHub, Seat
from service.events.log import EventLog, Standing
from service.events.positions import Position, id_of, position_of
from service.events.reader import Show

__all__ = [
    "TYPES",
    "Caller",
    "Event",
    "EventHub",
    "EventLog",
    "Follower",
    "Interest",
    "Position",
    "Seat",
    "Show",
    "Standing",
    "id_of",
    "job_word",
    "position_of",
    "told",
]
