#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""fake_mirror.py garbage|silence|hangup PORT_FILE: accepts connections and misbehaves."""
import os
import socket
import sys

behaviour, port_file = sys.argv[1:3]
server = socket.create_server(("127.0.0.1", 0))
with open(port_file + ".new", "w", encoding="ascii") as file:
    print(server.getsockname()[1], file=file)
os.rename(port_file + ".new", port_file)
kept = []
while True:
    peer, _ = server.accept()
    if behaviour == "garbage":
        try:
            peer.sendall(os.urandom(4096))
        except OSError:
            pass
    if behaviour == "hangup":
        peer.close()
    else:
        kept.append(peer)
