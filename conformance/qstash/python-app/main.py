"""Drives a server with the Python clients, as it is told over HTTP, and serves a workflow with their SDK in Flask."""

import json
import os
import sys
import threading

from flask import Flask, request
from plain import plain
from qstash import QStash, Receiver
from upstash_workflow.flask import Serve
from werkzeug.serving import make_server

client = QStash(os.environ["QSTASH_TOKEN"], base_url=os.environ["QSTASH_URL"])
receiver = Receiver(os.environ["QSTASH_CURRENT_SIGNING_KEY"], os.environ["QSTASH_NEXT_SIGNING_KEY"])
app = Flask(__name__)
server = make_server("127.0.0.1", 0, app, threaded=True)
URL = f"http://127.0.0.1:{server.server_port}"

ran = []
failures = []
received = []
attempts = {}


@app.post("/client")
def call_client():
    """{"call": "message.publish", "args": {...}} -> {"result": ...} or {"error": ..., "message": ...}"""
    order = request.get_json()
    target = client
    for name in order["call"].split("."):
        target = getattr(target, name)
    try:
        return {"result": plain(target(**order.get("args", {})))}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


@app.post("/hook")
def hook():
    body = request.get_data(as_text=True)
    receiver.verify(body=body, signature=request.headers["Upstash-Signature"], url=URL + "/hook")
    received.append(body)
    return "ok"


@app.get("/seen")
def seen():
    return {"ran": ran, "failures": failures, "received": received}


serve = Serve(app)


@serve.route("/workflow", qstash_client=client, receiver=receiver, retries=1, url=URL + "/workflow")
def workflow(context):
    def first():
        ran.append("first")
        return {"from": context.request_payload["name"]}

    one = context.run("first", first)
    context.sleep("nap", "1h")
    context.sleep_until("until", float(context.request_payload["until"]))
    answer = context.call("ask", url=context.request_payload["third"], method="POST", body={"q": one["from"]}, headers={"x-from": "python"})

    def last():
        attempts["last"] = attempts.get("last", 0) + 1
        if attempts["last"] == 1:
            raise RuntimeError("once more")
        ran.append(f"last {answer.status} {answer.body}")
        return None

    context.run("last", last)


def on_failure(context, status, response, headers):
    failures.append([status, response, context.request_payload])


@serve.route("/failing", qstash_client=client, receiver=receiver, retries=0, url=URL + "/failing", failure_function=on_failure)
def failing(context):
    def step():
        raise RuntimeError("no such order")

    context.run("step", step)


threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(json.dumps({"url": URL}), flush=True)
server.serve_forever()
