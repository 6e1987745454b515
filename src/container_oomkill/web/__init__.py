# SPDX-License-Identifier: Apache-2.0
"""Takes HTTP requests, gives metrics, incidents and health.

    listen      address -> listening socket
    config_file the file of --web.config.file -> settings, or which field is wrong
    web_config  settings -> who may speak, and how, by tls and auth; read again as files change
    request     bytes -> Request, or a clean 4xx
    routes      Request -> Response
    connection  one client: bytes in, bytes out, never blocking
    server      all of them in one thread, bounded

All but routes and the page are in `http`, which knows nothing of OOM kills.
"""
