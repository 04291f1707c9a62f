import { DurableObject } from 'cloudflare:workers';
import { StreamStore } from '../../core/channel/stream-store.ts';
import {
  labelTopic,
  runTopic,
  type AppendRequest,
  type LabelChanges,
  type LabelPosition,
  type RunChange,
  type StreamInfo,
  type StreamPage,
} from '../../core/model/channel.ts';
import { cellName, DEFAULT_ENVIRONMENT } from '../../core/model/placement.ts';
import type { EnvironmentContext, SocketProtocol } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { CellClient } from '../cell/cell-client.ts';
import { dispatchCall } from '../cell/dispatches.ts';
import { DurableSql } from '../cell/durable-sql.ts';
import { contextOf } from '../context.ts';
import { isEnding } from '../ending.ts';
import { environmentContext } from '../environments/keys.ts';
import { RUN_VIEWS, SOCKET_PROTOCOLS } from '../vendors.ts';
import { Feeds } from './feeds.ts';
import { Held } from './held.ts';
import { CONNECT_HEADER, readConnect } from './connect-header.ts';
import { noteListened } from './listened.ts';
import { Sockets } from './sockets.ts';
import { Timers } from './timers.ts';
import { Views } from './views.ts';

/** A cell forgets its followers when it is lost; while somebody listens, the channel says again that it is there. */
const RENEW_MS = 10_000;
/** A hold longer than this is cut: the caller asks again. Below the platform's limits for an idle request. */
const MAX_HOLD_MS = 60_000;
/** At the end of the process: whoever asks again and again shall not do so without a pause. */
const LAST_HOLD_MS = 100;
/** RFC 6455, 7.4.1: the server is going away; clients connect again. */
const GOING_AWAY = 1001;
/** After a timer that failed. */
const RETRY_MS = 1_000;
const RENEW = 'renew';
const SWEEP = 'sweep';
const TICK = 'tick:';

/**
 * Whoever listens to one thing, in one object: WebSockets that hibernate, streams in its own database, held reads. It follows at the cell what its
 * listeners want to know of, once for all of them. Named `<environment>/<name>`.
 */
export class Channel extends DurableObject<Bindings> {
  readonly #environment: string;
  readonly #cell: CellClient;
  #context: EnvironmentContext;
  readonly #timers: Timers;
  readonly #streams: StreamStore;
  readonly #sockets: Sockets;
  readonly #feeds: Feeds;
  readonly #held = new Held();
  readonly #views: Views;
  readonly #protocols = new Map<string, SocketProtocol>();

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    const name = ctx.id.name ?? 'default/';
    this.#environment = name.slice(0, Math.max(0, name.indexOf('/')));
    const cell = cellName(this.#environment, 0);
    const stub = env.CELL.get(env.CELL.idFromName(cell));
    this.#cell = new CellClient(stub, cell, env.INGEST);
    this.#context = contextOf(env);
    if (this.#environment !== DEFAULT_ENVIRONMENT)
      void ctx.blockConcurrencyWhile(async () => {
        this.#context = (await environmentContext(env, this.#environment)) ?? this.#context;
      });
    const sql = new DurableSql(ctx.storage);
    this.#timers = new Timers(sql, ctx.storage);
    this.#streams = new StreamStore(sql, { now: () => Date.now() }, retentionMs(env));
    this.#sockets = new Sockets(ctx, sql, (topics) => this.#background(this.#followed(topics)));
    this.#feeds = new Feeds({
      follow: (topics) => stub.follow(topics, ctx.id.toString()),
      hasSockets: (topic) => this.#sockets.has(topic),
      onChange: (topic, change) => this.#changed(topic, change),
    });
    this.#views = new Views((view, run) => {
      const make = RUN_VIEWS[view];
      if (!make) throw new Error(`no view "${view}"`);
      return make(run, this.#cell, this.#context);
    });
  }

  // Sockets.

  override async fetch(request: Request): Promise<Response> {
    const options = readConnect(request.headers.get(CONNECT_HEADER));
    if (!options) return Response.json({ error: 'nothing is served here' }, { status: 404 });
    if (isEnding())
      return Response.json({ error: 'the server is ending' }, { status: 503, headers: { 'retry-after': '1' } });
    const protocol = this.#protocol(options.protocol);
    const { 0: client, 1: server } = new WebSocketPair();
    const open = this.#sockets.accept(server, options.protocol, options.data ?? '');
    this.#noteListened();
    open.follow(options.topics ?? []);
    if (protocol.tick) this.#timers.arm(TICK + options.protocol, Date.now() + protocol.tick.everyMs);
    await protocol.opened(open);
    const headers = new Headers();
    if (options.subprotocol !== undefined) headers.set('sec-websocket-protocol', options.subprotocol);
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const open = this.#sockets.of(socket);
    if (!open) return socket.close(1011, 'unknown socket');
    const protocol = this.#protocol(open.protocol);
    const size = typeof message === 'string' ? message.length : message.byteLength;
    if (size > protocol.maxFrameBytes) return open.close(1009, 'frame too large');
    try {
      await protocol.received(open, typeof message === 'string' ? message : new Uint8Array(message));
    } catch (error) {
      console.error(`a frame of ${open.protocol} failed:`, error);
      open.close(1011, 'internal error');
    }
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    await this.#gone(socket, code);
    try {
      // 1005 and 1006 say that no code came; they cannot be sent.
      socket.close(code === 1005 || code === 1006 ? 1000 : code);
    } catch {
      // Closed from both sides.
    }
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#gone(socket, 1006);
  }

  async #gone(socket: WebSocket, code: number): Promise<void> {
    const open = this.#sockets.of(socket);
    if (!open) return this.#noteListened();
    this.#sockets.drop(open);
    this.#noteListened();
    try {
      await this.#protocol(open.protocol).closed?.(open, code);
    } catch (error) {
      console.error(`the end of a socket of ${open.protocol} failed:`, error);
    }
  }

  async publish(topic: string, message: string): Promise<number> {
    const sockets = this.#sockets.following(topic);
    for (const open of sockets) {
      const protocol = this.#protocol(open.protocol);
      if (protocol.published) protocol.published(open, topic, message);
      else open.send(message);
    }
    return sockets.length;
  }

  async ask(protocol: string, question: string): Promise<string> {
    const answer = await this.#protocol(protocol).asked?.(question);
    if (answer === undefined) throw new Error(`the socket protocol "${protocol}" answers no questions`);
    return answer;
  }

  /** The process ends now: held reads are answered, and whoever listens over a socket is told to come again. */
  async end(): Promise<void> {
    this.#held.release();
    for (const open of this.#sockets.all()) open.close(GOING_AWAY, 'the server is ending');
    this.#noteListened();
  }

  #noteListened(): void {
    noteListened(this.ctx.id.toString(), !this.#sockets.isEmpty || !this.#held.isEmpty);
  }

  async #hold(key: string, isReady: () => boolean, waitMs: number): Promise<void> {
    if (waitMs <= 0 || isReady()) return;
    const held = this.#held.until(key, isReady, Math.min(waitMs, isEnding() ? LAST_HOLD_MS : MAX_HOLD_MS));
    this.#noteListened();
    await held;
    this.#noteListened();
  }

  /** Before the process ends: protocols in which work is under way finish it. */
  async drain(timeoutMs: number): Promise<void> {
    await Promise.all([...this.#sockets.protocols()].map((name) => this.#protocol(name).drain?.(timeoutMs)));
  }

  #protocol(name: string): SocketProtocol {
    let protocol = this.#protocols.get(name);
    if (!protocol) {
      const make = SOCKET_PROTOCOLS[name];
      if (!make) throw new Error(`no socket protocol "${name}"`);
      protocol = make({
        context: this.#context,
        environment: this.#environment,
        cell: this.#cell,
        sockets: () => this.#sockets.ofProtocol(name),
        dispatch: (call) => dispatchCall(this.env, this.#environment, call),
        waitUntil: (work) => this.#background(work),
      });
      this.#protocols.set(name, protocol);
    }
    return protocol;
  }

  #background(work: Promise<unknown>): void {
    this.ctx.waitUntil(work.catch((error: unknown) => console.error('channel:', error)));
  }

  // What the cell feeds.

  /** From the cell: for each whether it shall go on telling. */
  async told(changes: Array<{ topic: string; change: RunChange }>): Promise<boolean[]> {
    return this.#feeds.told(changes);
  }

  #changed(topic: string, change: RunChange): void {
    this.#held.wake(topic);
    for (const open of this.#sockets.following(topic)) this.#protocol(open.protocol).changed?.(open, topic, change);
  }

  async #followed(topics: string[]): Promise<void> {
    this.#timers.arm(RENEW, Date.now() + RENEW_MS);
    await this.#feeds.follow(topics);
  }

  async watchRun(request: {
    run: string;
    view: string;
    afterSeq: number;
    waitMs: number;
  }): Promise<{ seq: number; view: string } | null> {
    const topic = runTopic(request.run);
    if (!(await this.#feeds.run(topic))) return null;
    this.#timers.arm(RENEW, Date.now() + RENEW_MS);
    const newest = (): number => this.#feeds.peekRun(topic)?.seq ?? -1;
    await this.#hold(topic, () => newest() > request.afterSeq, request.waitMs);
    this.#feeds.leave(topic);
    const seq = newest();
    const view = await this.#views.at(request.view, request.run, seq);
    return view === null ? null : { seq, view };
  }

  async watchLabel(request: {
    label: string;
    view: string;
    after: LabelPosition | null;
    waitMs: number;
  }): Promise<LabelChanges> {
    const topic = labelTopic(request.label);
    const log = await this.#feeds.label(topic);
    this.#timers.arm(RENEW, Date.now() + RENEW_MS);
    // Another log in its place: the cell has forgotten this channel, and what happened meanwhile is not known.
    const changed = (): ReturnType<typeof log.after> => (this.#feeds.peekLabel(topic) ?? log).after(request.after);
    await this.#hold(topic, () => changed()?.length !== 0, request.waitMs);
    this.#feeds.leave(topic);
    const { position } = this.#feeds.peekLabel(topic) ?? log;
    const runs = changed();
    if (runs === null) return { position, reset: true, runs: [] };
    const shown = await Promise.all(
      runs.map(async ({ run, seq }) => ({ run, seq, view: await this.#views.at(request.view, run, seq) })),
    );
    return { position, reset: false, runs: shown };
  }

  // Streams.

  async append(stream: string, request: AppendRequest): Promise<{ last: number; writerIndex: number }> {
    const appended = this.#streams.append(stream, request);
    const expiry = this.#streams.nextExpiry();
    if (expiry !== null) this.#timers.arm(SWEEP, expiry);
    this.#held.wake(streamKey(stream));
    return appended;
  }

  async read(stream: string, request: { after: number; waitMs: number; max?: number }): Promise<StreamPage> {
    const isReady = (): boolean => {
      const info = this.#streams.info(stream);
      return info !== null && (info.last > request.after || info.closed);
    };
    await this.#hold(streamKey(stream), isReady, request.waitMs);
    return this.#streams.read(stream, request.after, request.max);
  }

  async info(stream: string, writer?: string): Promise<StreamInfo | null> {
    return this.#streams.info(stream, writer);
  }

  // Timers.

  override async alarm(): Promise<void> {
    for (const name of this.#timers.take(Date.now())) {
      try {
        await this.#run(name);
      } catch (error) {
        console.error(`timer ${name} of a channel failed, again in a second:`, error);
        this.#timers.arm(name, Date.now() + RETRY_MS);
      }
    }
  }

  async #run(name: string): Promise<void> {
    if (name === RENEW) {
      if (await this.#feeds.renew(this.#sockets.topics())) this.#timers.arm(RENEW, Date.now() + RENEW_MS);
      // A label's log may be a new one now.
      this.#held.wakeAll();
    } else if (name === SWEEP) {
      this.#streams.sweep();
      const expiry = this.#streams.nextExpiry();
      if (expiry !== null) this.#timers.arm(SWEEP, Math.max(expiry, Date.now() + RETRY_MS));
    } else if (name.startsWith(TICK)) {
      const protocol = name.slice(TICK.length);
      if (this.#sockets.ofProtocol(protocol).length === 0) return;
      const { tick } = this.#protocol(protocol);
      if (!tick) return;
      this.#timers.arm(name, Date.now() + tick.everyMs);
      await tick.run();
    }
  }
}

const streamKey = (stream: string): string => `stream:${stream}`;

function retentionMs(env: Bindings): number | undefined {
  const days = Number(env.REPOINT_RETENTION_DAYS);
  return days > 0 && Number.isFinite(days) ? days * 86_400_000 : undefined;
}
