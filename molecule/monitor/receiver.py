"""Takes messages as ntfy does, and writes them down: a line each, with its time. "I am alive" is a file of its own."""

import http.server
import time


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with open("/tmp/told" if self.command == "POST" else "/tmp/alive", "a") as file:  # noqa: S108 - of a test's host
            file.writelines(f"{time.time()} {line}\n" for line in (body or "alive").splitlines())
        self.send_response(200)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 9099), Receiver).serve_forever()
