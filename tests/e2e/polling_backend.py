#!/usr/bin/python3
"""What many platforms do without Waymark: a loop that reads the table every two seconds, asks the
engine for addresses, and writes a file that Traefik's file provider watches.

    polling_backend.py DSN DOCKER_SOCKET FILE DOMAIN

An honest stand-in: one query, one list, an atomic write and only where something changed; nothing in
it waits but the two seconds.
"""

import json
import os
import sys
import time

import psycopg2

import http_unix

EVERY = 2
QUERY = """SELECT DISTINCT ON (a.name) a.name, d.subdomain FROM apps a
	JOIN deployments d ON d.app_id = a.id WHERE d.status = 'running'
	ORDER BY a.name, d.created_at DESC, d.id DESC"""


def addresses(socket):
    found = http_unix.get_json(socket, "/containers/json")
    return {c["Names"][0].lstrip("/"): network["IPAddress"] for c in found
            for network in c["NetworkSettings"]["Networks"].values()}


def document(rows, address, domain):
    routers, services = {}, {}
    for app, container in rows:
        if container in address:
            routers[app] = {"rule": f"Host(`{app}.{domain}`)", "service": app, "entryPoints": ["web"]}
            services[app] = {"loadBalancer": {
                "servers": [{"url": f"http://{address[container]}:8080"}]}}
    return json.dumps({"http": {"routers": routers, "services": services}} if routers else {})


def main(dsn, socket, file, domain):
    connection = psycopg2.connect(dsn, application_name="polling backend")
    connection.autocommit = True
    cursor = connection.cursor()
    written = None
    while True:
        cursor.execute(QUERY)
        text = document(cursor.fetchall(), addresses(socket), domain)
        if text != written:
            with open(file + ".new", "w") as f:
                f.write(text)
            os.rename(file + ".new", file)
            written = text
        time.sleep(EVERY)


main(*sys.argv[1:])
