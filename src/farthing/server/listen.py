"""The listening socket, taken before anything slow: a port in use is named at once."""

import errno
import socket

from farthing.errors import InputError

LOOK = 100
"""Ports above the wanted one that are tried for the suggestion."""


def listen(host: str, port: int) -> socket.socket:
    try:
        return _bind(host, port)
    except OSError as error:
        raise InputError(_why(host, port, error)) from None


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        # A server that has just ended leaves the port in a state that is not in use by anybody.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Two binds may both succeed; the second to listen is told.
        bound.listen(2048)
    except OSError:
        bound.close()
        raise
    return bound


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        free = free_port(host, port)
        advice = f"; {free} is free: --port {free}" if free else "; choose another with --port"
        return f"port {port} of {host} is taken by another program{advice}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than we have; choose one from 1024 on with --port"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}; change --host"


def free_port(host: str, taken: int) -> int | None:
    for port in range(taken + 1, min(taken + LOOK, 65536)):
        try:
            _bind(host, port).close()
        except OSError:
            continue
        return port
    return None
