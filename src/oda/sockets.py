"""Options of ODA's connections by which a machine that is gone is told from one that is slow.

Who dies closes its connections; a machine without power or network closes none, and all that was asked of it waits for
a time-out, which has to be as long as the longest pause of a healthy server. Its kernel answers TCP even then. So it
is asked, and a connection is over when nobody has answered for some seconds.
"""

from __future__ import annotations

import socket

OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # Nothing to send: it is asked after 3 s of silence, and thrice in all.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # Nothing of what was sent is acknowledged, ms.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000),
    # Nobody answers to a connection that is to be made: it is given up after 1 + 2 s.
    (socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1),
)
"""As of `socket.setsockopt`."""
