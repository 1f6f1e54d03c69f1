"""A mail server on this machine, small enough to break: it keeps the letters it takes."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from types import TracebackType
from typing import cast


class _Talk(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        server = cast("MailServer", self.server)
        server.connections += 1
        if server.mode == "silent":
            server.ended.wait(20)
            return
        self.say("220 here" if server.mode != "busy" else "421 come back")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word in (b"EHLO", b"HELO", b"MAIL", b"RSET"):
                self.say("250 fine")
            elif word == b"RCPT":
                refused = any(name.encode() in line for name in server.refuses)
                self.say("550 nobody of that name" if refused else "250 fine")
            elif word == b"DATA":
                self.say("354 go on")
                self.take(server)
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("500 what?")

    def take(self, server: MailServer) -> None:
        """Reads a letter, and says whether it is taken."""
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        if server.mode == "full":
            self.say("452 no room")
            return
        server.letters.append(
            cast(EmailMessage, email.message_from_bytes(b"".join(lines), policy=email.policy.default))
        )
        self.say("250 taken")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """Serves while it is entered. `refuses` are parts of addresses that it does not know.

    `mode`: ok, busy (turns everybody away), full (takes no letter), silent (says nothing)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[EmailMessage] = []
        self.connections = 0
        self.mode = "ok"
        self.refuses: list[str] = []
        self.ended = threading.Event()
        self.port = int(self.server_address[1])

    def __enter__(self) -> MailServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def subjects(self) -> list[str]:
        """Of the letters taken, in order."""
        return [str(letter["Subject"]) for letter in self.letters]
