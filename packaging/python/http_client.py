"""Questions to a REST API over one connection that is kept, in HTTP/1.1. Not the standard library's http: a bare Debian's
python3-minimal has none. Rides out what passes: 429, 503 and broken connections, for a minute a question; so only questions that
may be asked twice."""
import re
import socket
import time

PATIENCE_S, PAUSE_S, LONGEST_HEAD = 60, 0.2, 64 * 1024


class HttpError(Exception):
    pass


class Client:
    def __init__(self, address):
        """`address`: http://HOST:PORT"""
        match = re.fullmatch(r"http://([\w.-]+):(\d+)/?", address)
        if not match:
            raise HttpError(f"{address}: http://HOST:PORT is wanted")
        self.host, self.port, self.file = match.group(1), int(match.group(2)), None

    def ask(self, method, path, body="", headers=()):
        """(status, {header: value}, body); a session's cookie is what the caller gives in `headers`."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._ask(method, path, body, headers)
                if answer[0] not in (429, 503):
                    return answer
                what = f"{answer[0]} {answer[2][:200]}"
            except (OSError, ValueError) as error:
                self.file, what = None, str(error) or type(error).__name__
            if time.monotonic() > until:
                raise HttpError(f"{method} {path}: no answer in {PATIENCE_S} s: {what}")
            time.sleep(PAUSE_S)

    def _ask(self, method, path, body, headers):
        if self.file is None:
            connection = socket.create_connection((self.host, self.port), timeout=PATIENCE_S)
            self.file = connection.makefile("rwb")
            connection.close()  # the file has it
        data = body.encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {len(data)}",
                 *(["Content-Type: application/json"] if data else []), *(f"{name}: {value}" for name, value in headers)]
        self.file.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        self.file.flush()
        status = self.file.readline(LONGEST_HEAD).split()
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.1"):
            raise ValueError("the connection has ended")
        told = {}
        for line in iter(lambda: self.file.readline(LONGEST_HEAD).strip(), b""):
            name, _, value = line.decode("latin-1").partition(":")
            told[name.strip().lower()] = value.strip()
        text = self.file.read(int(told.get("content-length", 0)))
        if len(text) != int(told.get("content-length", 0)):
            raise ValueError("the answer is torn")
        if told.get("connection", "").lower() == "close":
            self.file = None
        return int(status[1]), told, text.decode()
