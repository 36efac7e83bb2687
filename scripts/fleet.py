#!/usr/bin/env python3
"""Stands for AWS in scripts/test-fleet.sh: moto, and the metadata of instances.

Usage: fleet.py HOST PORT [MACHINES]. Prints "ready" once both serve. MACHINES is a file of
lines "ADDRESS INSTANCE", read at each request; with it http://169.254.169.254 serves the id
of the instance with the address of the client, to those who show a token (IMDSv2).
"""

import http.server
import sys
import threading

from moto.ec2.models import ec2_backends
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.route_tables import RouteTable
from moto.iam.models import ManagedPolicy, iam_backends
from moto.server import ThreadedMotoServer


# moto deletes no route table, no gateway and no policy of a stack. AWS does.
def delete_routes(self, account, region):
    table = ec2_backends[account][region].route_tables.pop(self.id)
    table.associations.clear()


def delete_gateway(self, account, region):
    del ec2_backends[account][region].internet_gateways[self.id]


def delete_policy(self, account, region):
    iam_backends[account]["aws"].delete_policy(self.arn)


RouteTable.delete = delete_routes
InternetGateway.delete = delete_gateway
ManagedPolicy.delete = delete_policy


class Metadata(http.server.BaseHTTPRequestHandler):
    def reply(self, code, text=""):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        if code == 200 and self.command == "PUT":
            self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        ok = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.reply(200 if ok else 400, "a-token" if ok else "")

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] != "a-token":
            return self.reply(401)
        if self.path != "/latest/meta-data/instance-id":
            return self.reply(404)
        with open(sys.argv[3]) as f:
            machines = dict(line.split() for line in f)
        self.reply(200, machines[self.client_address[0]])

    def log_message(self, *args):
        pass


if len(sys.argv) > 3:
    metadata = http.server.ThreadingHTTPServer(("169.254.169.254", 80), Metadata)
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
server = ThreadedMotoServer(ip_address=sys.argv[1], port=int(sys.argv[2]), verbose=False)
server.start()
print("ready", flush=True)
threading.Event().wait()
