#!/usr/bin/env python3
"""Serves a metrics page over TLS to whoever has the right credentials.

serve.py CERTIFICATE KEY ADDRESS_FILE AUTHORIZATION

Every request for the page counts ten more requests of the app. Without exactly the header
`Authorization: AUTHORIZATION` the answer is 401. The address, host:port, goes to ADDRESS_FILE.
"""

import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """\
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {cpu}
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{code="200",handler="/buy",le="0.1"}} {n}
http_request_duration_seconds_bucket{{code="200",handler="/buy",le="+Inf"}} {n}
http_request_duration_seconds_sum{{code="200",handler="/buy"}} {sum}
http_request_duration_seconds_count{{code="200",handler="/buy"}} {n}
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scrapes = 0
    lock = threading.Lock()

    def do_GET(self):
        if self.headers.get("Authorization") != sys.argv[4]:
            self.answer(401, b"")
            return
        with Handler.lock:
            Handler.scrapes += 1
            n = 10 * Handler.scrapes
        page = PAGE.format(n=n, sum=n * 0.05, cpu=n * 0.01)
        self.answer(200, page.encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    beside = sys.argv[3] + ".new"
    with open(beside, "w") as file:
        file.write("%s:%d" % server.server_address[:2])
    os.rename(beside, sys.argv[3])
    server.serve_forever()


main()
