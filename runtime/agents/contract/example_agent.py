"""An agent for Converge, in the standard library alone: it warns of channels whose margin is thin."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def warn(channel: dict[str, Any]) -> list[dict[str, Any]]:
    margin = channel["value"]["margin"]
    if margin >= 0.1:
        return []  # nothing to say; what it said before about this channel is withdrawn
    said = {"key": "warning", "subject": channel["subject"], "value": "thin margin", "confidence": 0.9}
    return [{**said, "evidence": {"margin": margin}, "because": [["channel", channel["subject"]]]}]


class Agent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["contract"] == "converge-agent/1" and asked["shape"] == "each"
        answer = json.dumps({"proposals": warn(asked["item"])} if known else {}).encode()
        self.send_response(200 if known else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent)
print(f"agent at http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
