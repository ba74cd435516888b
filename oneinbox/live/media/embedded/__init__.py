"""The embedded media endpoint: LiveKit's protocol spoken from inside the worker, one human and one agent to a room.

::

    endpoint.py   EmbeddedMedia: sockets and legs, and what they share
      leg.py        one call's leg: joins, rejoins, the page, the agent's mouth; outlives what is below
        session.py    one signalling socket          signalling.py  its messages    names.py  who is who
        page.py       the page over data: captions, events, typed text, keys, RPC        data.py  the packets
        rpc.py        calls of methods, both ways
        attendance.py who is away, and for how long      turn.py  credentials for TURN servers
        pair.py       two peers as one: the older signalling       limits.py  how much a client may say
        peer.py       one join's transport           sdp.py         offers, answers
          aiortc_private.py  DTLS, SRTP keys, SCTP   ice.py stun.py port.py  paths over the one shared port
          receiver.py sender.py rtp.py               the caller's voice in, the agent's out
          quality.py                                 what clients are told of their connection
      ticker.py     20 ms, for all legs
"""

from oneinbox.live.media.embedded.endpoint import EmbeddedMedia
from oneinbox.live.media.embedded.session import SignalSocket

__all__ = ["EmbeddedMedia", "SignalSocket"]
