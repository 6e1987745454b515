# SPDX-License-Identifier: Apache-2.0
"""Serves metrics, incidents and health over HTTP.

    listen      address -> listening socket
    config_file --web.config.file -> settings, or which field is wrong
    web_config  settings -> who may connect, and how, with tls and auth; read again on changes
    request     bytes -> Request, or a clean 4xx
    routes      Request -> Response
    connection  one client: bytes in, bytes out, never blocking
    server      all clients in one thread, bounded

All but routes and the page are in `http`, which knows nothing of OOM kills.
"""
