"""An app of the Python SDK, as conformance/inngest/languages.ts drives it: the same functions as ../go-app has."""

import asyncio
import contextlib
import datetime
import functools
import json
import logging
import os
import signal
import socket

import fastapi
import inngest
import inngest.fast_api
import uvicorn

APP = os.environ["APP_ID"]
PREFIX = os.environ["APP_EVENTS"]
ran: list[str] = []

logger = logging.getLogger("app")
logger.addHandler(logging.StreamHandler())
logger.setLevel(
    logging.DEBUG if os.environ.get("APP_VERBOSE") else logging.ERROR
)

client = inngest.Inngest(
    app_id=APP,
    logger=logger,
)


def on(name: str) -> inngest.TriggerEvent:
    return inngest.TriggerEvent(event=PREFIX + name)


async def note(text: str) -> str:
    ran.append(text)
    return text


@client.create_function(fn_id="three", trigger=on("three"))
async def three(ctx: inngest.Context) -> object:
    async def first() -> object:
        ran.append("a")
        return ctx.event.data["n"]

    async def second() -> int:
        ran.append(f"b{ctx.attempt}")
        if ctx.attempt == 0:
            raise ValueError("once")
        return a + 1

    async def third() -> int:
        ran.append(f"c{ctx.attempt}")
        return b * 2

    a = await ctx.step.run("a", first)
    b = await ctx.step.run("b", second)
    c = await ctx.step.run("c", third)
    return {"a": a, "b": b, "c": c, "text": "é😀"}


@client.create_function(fn_id="sleeper", trigger=on("sleeper"))
async def sleeper(ctx: inngest.Context) -> str:
    await ctx.step.sleep("nap", datetime.timedelta(days=30))
    return "awake"


@client.create_function(fn_id="waiter", trigger=on("waiter"))
async def waiter(ctx: inngest.Context) -> object:
    event = await ctx.step.wait_for_event(
        "w",
        event=PREFIX + "answer",
        if_exp="event.data.order == async.data.order",
        timeout=datetime.timedelta(hours=1),
    )
    return None if event is None else event.data["n"]


@client.create_function(fn_id="child", trigger=on("child"), retries=0)
async def child(ctx: inngest.Context) -> int:
    n = int(str(ctx.event.data["n"]))
    if n < 0:
        raise ValueError("negative")
    return n * 2


@client.create_function(fn_id="parent", trigger=on("parent"))
async def parent(ctx: inngest.Context) -> object:
    doubled = await ctx.step.invoke(
        "i", function=child, data={"n": ctx.event.data["n"]}
    )
    try:
        await ctx.step.invoke_by_id("j", function_id="child", data={"n": -1})
        return "never"
    except inngest.StepError as error:
        return {"doubled": doubled, "error": error.message}


@client.create_function(fn_id="fan", trigger=on("fan"))
async def fan(ctx: inngest.Context) -> str:
    parts = await ctx.group.parallel(
        tuple(
            functools.partial(ctx.step.run, name, functools.partial(note, name))
            for name in ("a", "b", "c")
        )
    )

    async def join() -> str:
        ran.append("join")
        return "".join(parts) + "!"

    return await ctx.step.run("join", join)


async def told(ctx: inngest.Context) -> None:
    error = ctx.event.data["error"]
    assert isinstance(error, dict)
    ran.append(f"told {error['message']}")


@client.create_function(
    fn_id="broken", trigger=on("broken"), retries=1, on_failure=told
)
async def broken(ctx: inngest.Context) -> None:
    ran.append(f"try{ctx.attempt}")
    raise ValueError("broken for good")


@client.create_function(fn_id="never", trigger=on("never"))
async def never(ctx: inngest.Context) -> None:
    ran.append("once")
    raise inngest.NonRetriableError("no use")


@client.create_function(fn_id="sender", trigger=on("sender"))
async def sender(ctx: inngest.Context) -> object:
    ids = await ctx.step.send_event(
        "s", inngest.Event(name=PREFIX + "child", data={"n": 4})
    )
    return ids[0]


@client.create_function(fn_id="slow", trigger=on("slow"))
async def slow(ctx: inngest.Context) -> object:
    async def nap() -> str:
        ran.append("slow")
        await asyncio.sleep(float(str(ctx.event.data["ms"])) / 1000)
        return os.environ.get("APP_INSTANCE", "")

    before = await ctx.step.run("before", functools.partial(note, "before"))
    middle = await ctx.step.run("slow", nap)
    after = await ctx.step.run("after", functools.partial(note, "after"))
    return [before, middle, after]


@client.create_function(
    fn_id="cancelled",
    trigger=on("cancelled"),
    cancel=[
        inngest.Cancel(
            event=PREFIX + "stop",
            if_exp="event.data.order == async.data.order",
        )
    ],
)
async def cancelled(ctx: inngest.Context) -> str:
    await ctx.step.wait_for_event(
        "w", event=PREFIX + "nothing", timeout=datetime.timedelta(hours=1)
    )
    return "waited"


@client.create_function(
    fn_id="policies",
    trigger=on("policies"),
    concurrency=[inngest.Concurrency(limit=5, key="event.data.n")],
    throttle=inngest.Throttle(
        limit=10,
        period=datetime.timedelta(minutes=1),
        burst=2,
        key="event.data.n",
    ),
    rate_limit=inngest.RateLimit(
        limit=100, period=datetime.timedelta(hours=1), key="event.data.n"
    ),
    priority=inngest.Priority(run="event.data.n"),
    timeouts=inngest.Timeouts(
        start=datetime.timedelta(hours=1), finish=datetime.timedelta(hours=2)
    ),
    singleton=inngest.Singleton(mode="skip", key="event.data.n"),
)
async def policies(ctx: inngest.Context) -> object:
    return ctx.event.data["n"]


@client.create_function(
    fn_id="debounced",
    trigger=on("debounced"),
    debounce=inngest.Debounce(
        period=datetime.timedelta(seconds=5),
        timeout=datetime.timedelta(minutes=1),
        key="event.data.order",
    ),
)
async def debounced(ctx: inngest.Context) -> object:
    return ctx.event.data["n"]


@client.create_function(
    fn_id="batched",
    trigger=on("batched"),
    batch_events=inngest.Batch(
        max_size=2,
        timeout=datetime.timedelta(seconds=10),
        key="event.data.order",
    ),
)
async def batched(ctx: inngest.Context) -> int:
    return len(ctx.events)


FUNCTIONS = [
    three, sleeper, waiter, child, parent, fan, broken, never, sender, slow,
    cancelled, policies, debounced, batched,
]  # fmt: skip


def control() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/log")
    async def log() -> list[str]:
        return ran

    @app.post("/send")
    async def send(request: fastapi.Request) -> list[str]:
        return await client.send(inngest.Event(**await request.json()))

    return app


async def main() -> None:
    app = control()
    worker = None
    if os.environ.get("APP_CONNECT"):
        from inngest.connect import connect

        limit = os.environ.get("APP_CONCURRENCY")
        worker = connect(
            [(client, FUNCTIONS)],
            instance_id=os.environ.get("APP_INSTANCE"),
            max_worker_concurrency=int(limit) if limit else None,
        )

        @app.get("/state")
        async def state() -> str:
            return worker.get_state().value.lower()

    else:
        inngest.fast_api.serve(app, client, FUNCTIONS)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Who connects before the server has started waits for it.
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    # Its own handler would keep the worker's from ending the worker.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve([listener]))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    if worker is not None:
        await worker.start()
    else:
        stopped = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stopped.set)
        await stopped.wait()
    server.should_exit = True
    await serving


asyncio.run(main())
