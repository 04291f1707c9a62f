"""As main.py, with the asyncio client and the workflow SDK in FastAPI."""

import json
import os
import socket
import sys
import threading

import uvicorn
from fastapi import FastAPI, Request
from plain import plain
from qstash import AsyncQStash, Receiver
from upstash_workflow.fastapi import Serve

client = AsyncQStash(os.environ["QSTASH_TOKEN"], base_url=os.environ["QSTASH_URL"])
receiver = Receiver(os.environ["QSTASH_CURRENT_SIGNING_KEY"], os.environ["QSTASH_NEXT_SIGNING_KEY"])
app = FastAPI()
listening = socket.create_server(("127.0.0.1", 0))
URL = f"http://127.0.0.1:{listening.getsockname()[1]}"

ran = []
failures = []
received = []
attempts = {}


@app.post("/client")
async def call_client(order: dict):
    """{"call": "message.publish", "args": {...}} -> {"result": ...} or {"error": ..., "message": ...}"""
    target = client
    for name in order["call"].split("."):
        target = getattr(target, name)
    try:
        return {"result": plain(await target(**order.get("args", {})))}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


@app.post("/hook")
async def hook(request: Request):
    body = (await request.body()).decode()
    receiver.verify(body=body, signature=request.headers["Upstash-Signature"], url=URL + "/hook")
    received.append(body)
    return "ok"


@app.get("/seen")
async def seen():
    return {"ran": ran, "failures": failures, "received": received}


serve = Serve(app)


@serve.post("/workflow", qstash_client=client, receiver=receiver, retries=1, url=URL + "/workflow")
async def workflow(context):
    async def first():
        ran.append("first")
        return {"from": context.request_payload["name"]}

    one = await context.run("first", first)
    await context.sleep("nap", "1h")
    await context.sleep_until("until", float(context.request_payload["until"]))
    answer = await context.call("ask", url=context.request_payload["third"], method="POST", body={"q": one["from"]}, headers={"x-from": "python"})

    async def last():
        attempts["last"] = attempts.get("last", 0) + 1
        if attempts["last"] == 1:
            raise RuntimeError("once more")
        ran.append(f"last {answer.status} {answer.body}")
        return None

    await context.run("last", last)


async def on_failure(context, status, response, headers):
    failures.append([status, response, context.request_payload])


@serve.post("/failing", qstash_client=client, receiver=receiver, retries=0, url=URL + "/failing", failure_function=on_failure)
async def failing(context):
    async def step():
        raise RuntimeError("no such order")

    await context.run("step", step)


threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(json.dumps({"url": URL}), flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
