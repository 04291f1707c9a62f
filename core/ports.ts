import type { EndEffects, EndedRun, LapsedCall, LeasedCall, OrphanedCall, Outcome, StartSpec } from './model/call.ts';
import type { AppendRequest, LabelChanges, LabelPosition, RunChange, StreamInfo, StreamPage } from './model/channel.ts';
import type { Command, CommandResult } from './model/command.ts';
import type { JsonText } from './model/payload.ts';
import type { Query, QueryResult, RunRecord } from './model/query.ts';
import type { SweepRecord } from './model/sweep.ts';
import type { ScheduleRecord, TaskRecord } from './model/task.ts';

/** Milliseconds since the epoch. In dev mode a test moves it. */
export interface Clock {
  now(): number;
}

/** Uniform in [0, 1). */
export interface Random {
  next(): number;
}

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Record<string, SqlValue>;

/** A synchronous SQLite connection: a Durable Object's `sql`, `node:sqlite`, or the simulator's. */
export interface Sql {
  all<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[];
  run(query: string, ...params: SqlValue[]): void;
  /** All or nothing; an exception rolls back and passes on. Not nested. */
  transaction<T>(body: () => T): T;
  /** Rows written since the start, index entries included, as the platform bills them. */
  rowsWritten(): number;
}

/** What the engine wants done after a commit. Delivered in order; the host's output gate makes it wait for durability. */
export interface Effects {
  /** Calls for a push executor. Each is answered by one final report. */
  dispatch(calls: LeasedCall[]): void;
  /** Pull calls became ready in these pools: held leases may look again. */
  ready(pools: string[]): void;
  /** Runs whose history grew, for held reads and channels. */
  changed(runs: Array<RunChange & { labels: readonly string[] }>): void;
  /** There are messages for these cells (Engine.outgoing). */
  mail(cells: string[]): void;
  /** `wake` has work at this time, or earlier than was said before. */
  alarm(atMs: number): void;
}

/** What one vendor's translation adds inside a transition. Pure and synchronous. */
export interface Translator {
  /** Called once when a run of this executor ends, whatever ended it: completion events, callbacks, onFailure runs. */
  ended?(run: EndedRun, read: RecordReader): EndEffects;
  /** What becomes of a pull call whose worker let the lease run out. Null, the default: the same attempt again. */
  lapsed?(call: LapsedCall): Outcome | null;
  /** What becomes of a run whose task is gone when a call of it is due (see TaskSpec.binding). Null, the default: it goes on as it is, or waits. */
  orphaned?(call: OrphanedCall): Outcome | null;
  /** What a sweep starts for one of the runs that it starts anew. Default: the same again (command `rerun`). Null: nothing. */
  again?(request: { run: RunRecord; task: TaskRecord | null; sweep: SweepRecord; nowMs: number }): StartSpec | null;
  /** What a tick of a schedule starts, when it starts a task of this executor. Default: `[schedule.start]`. An empty list: nothing. */
  scheduled?(tick: ScheduleTick, read: RecordReader): Array<ScheduleRecord['start']>;
}

export interface ScheduleTick {
  nowMs: number;
  /** As it was before this tick. */
  schedule: ScheduleRecord;
  /** The task that it starts, as registered now. */
  task: TaskRecord;
  scheduledAt: number;
  /** The times that follow, as many as anyone shows. */
  upcoming: number[];
  /** Of a pull task: whether a worker is asking for its pool's work (KernelOptions.present). */
  workerPresent: boolean;
}

/** The transition under way, as far as a store may know it. */
export interface Transition {
  /** Its time, ms. */
  readonly now: number;
}

/** Records as they stand within the transition. */
export interface RecordReader {
  get(collection: string, id: string): JsonText | null;
  /** By id from a prefix on, in order; bounded. */
  list(collection: string, prefix: string): Array<{ id: string; data: JsonText }>;
}

/** The engine as routes and the Dispatcher see it: over RPC in a Worker, directly in a test. */
export interface CellApi {
  /** All commands in one transaction: all or nothing. Throws EngineError (see errorCodeOf). */
  apply(commands: Command[]): Promise<CommandResult[]>;
  query<Q extends Query>(query: Q): Promise<QueryResult<Q>>;
  /**
   * Leases calls of pull tasks from a pool, and from those in `also`, the oldest first; held open up to waitMs until one is ready. See
   * TaskSpec.versionPool for workers that have one version of the code only.
   */
  lease(request: {
    pool: string;
    also?: string[];
    max: number;
    holdMs: number;
    waitMs: number;
    holder: string;
  }): Promise<LeasedCall[]>;
  /** Resolves when there is news after `afterSeq`, or after waitMs. Returns the newest sequence; null for an unknown run. */
  watch(request: WatchRequest): Promise<number | null>;
}

/**
 * Of a run: `afterSeq` is a position in its history. Of a label: a number that an earlier watch of that label returned, or 0, which is answered at
 * once. Labels' numbers only grow, over restarts too; after a restart, or a long time without a watch, news may be said where there is none.
 */
export type WatchRequest = ({ run: string } | { label: string }) & { afterSeq: number; waitMs: number };

/**
 * An object for everybody who listens to one thing: WebSockets that hibernate, streams that are kept, held reads. However many listen, the cell is
 * asked once.
 */
export interface ChannelApi {
  /** Accepts the WebSocket of an upgrade request. What it sends goes to the protocol (SocketProtocol) of that name, inside the channel. */
  connect(request: Request, options: ConnectOptions): Promise<Response>;
  /** To all sockets that follow the topic; how many there were. Nothing is kept. */
  publish(topic: string, message: string): Promise<number>;
  /** Puts a question to a protocol of this channel (SocketProtocol.asked). */
  ask(protocol: string, question: JsonText): Promise<JsonText>;
  /** Adds to a stream. @throws EngineError payload-too-large, too-many, run-ended (the stream is closed) */
  append(stream: string, request: AppendRequest): Promise<{ last: number; writerIndex: number }>;
  /** Chunks after a position; with none, held until there is one, the stream is closed, or waitMs are over. */
  read(stream: string, request: { after: number; waitMs: number; max?: number }): Promise<StreamPage>;
  /** Null for a stream that nobody wrote to. */
  info(stream: string, writer?: string): Promise<StreamInfo | null>;
  /** A run as `view` (RunView) shows it, made once for all who ask; held until its history is beyond `afterSeq`. Null for an unknown run. */
  watchRun(request: {
    run: string;
    view: string;
    afterSeq: number;
    waitMs: number;
  }): Promise<{ seq: number; view: JsonText } | null>;
  /** What changed among the runs with a label; held until something did. */
  watchLabel(request: {
    label: string;
    view: string;
    after: LabelPosition | null;
    waitMs: number;
  }): Promise<LabelChanges>;
}

export interface ConnectOptions {
  protocol: string;
  /** Followed from the start. */
  topics?: string[];
  /** For the protocol, at most 8,000 characters: what the route knows of the subscriber. */
  data?: JsonText;
  /** Answered as `sec-websocket-protocol`. */
  subprotocol?: string;
}

/** One vendor's reading of a run, made in the channel, once for each change and all who listen. */
export type RunView = (run: string, cell: CellApi, context: EnvironmentContext) => Promise<JsonText | null>;

/** A subscriber, as its protocol sees it. */
export interface ChannelSocket {
  readonly id: string;
  /** ConnectOptions.data. */
  readonly data: JsonText;
  /** The protocol's own note, at most 4,000 characters; kept over hibernation. */
  state: JsonText;
  /** A socket that is gone takes nothing, and does not complain. */
  send(frame: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  topics(): string[];
  /** Of a topic that the cell feeds (runTopic, labelTopic) it hears what happens from now on. */
  follow(topics: string[]): void;
  unfollow(topics: string[]): void;
}

/** What a protocol gets from the channel that runs it. */
export interface SocketHost {
  context: EnvironmentContext;
  environment: string;
  cell: CellApi;
  /** The open sockets of this protocol, also those from before a hibernation. */
  sockets(): ChannelSocket[];
  /** Makes a call over HTTP as a push call is made, for a holder of pull calls that gets one which no worker can make. */
  dispatch(call: LeasedCall): Promise<Outcome>;
  /** Keeps the channel awake; an error is logged. */
  waitUntil(work: Promise<unknown>): void;
}

/**
 * One vendor's language over WebSockets, run inside a channel. Its memory lasts while the channel is awake: what must last longer goes into a
 * socket's `state`. Sockets themselves do not survive the loss of the process.
 */
export interface SocketProtocol {
  /** A longer frame closes its sender's socket (1009). */
  readonly maxFrameBytes: number;
  opened(socket: ChannelSocket): void | Promise<void>;
  received(socket: ChannelSocket, frame: string | Uint8Array): void | Promise<void>;
  closed?(socket: ChannelSocket, code: number): void | Promise<void>;
  /** Something was published to a topic that the socket follows. Absent: the message is sent as it is. */
  published?(socket: ChannelSocket, topic: string, message: string): void;
  /** A run that the socket follows, by itself or by label, has changed. */
  changed?(socket: ChannelSocket, topic: string, change: RunChange): void;
  /** From a route: ChannelApi.ask. */
  asked?(question: JsonText): JsonText | Promise<JsonText>;
  /** The process is about to end: resolves when what is under way is done, or when timeoutMs are over. */
  drain?(timeoutMs: number): Promise<void>;
  /** About every `everyMs` of the wall clock while a socket is open. */
  readonly tick?: { everyMs: number; run(): void | Promise<void> };
}

/** Made when the first socket of the protocol is met after a start or a hibernation. */
export type SocketProtocolFactory = (host: SocketHost) => SocketProtocol;

/** Files by key, outside of the cell: a bucket where one is bound, else an object's own database. */
export interface Blobs {
  /** Replaces what was there. @throws EngineError payload-too-large beyond `maxBytes` */
  put(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array | string,
    options?: { contentType?: string; maxBytes?: number },
  ): Promise<{ sizeBytes: number }>;
  get(key: string): Promise<BlobBody | null>;
  delete(key: string): Promise<void>;
  /** An address on this server that reads or writes this one key, without any other credential, until it runs out. */
  presign(method: 'GET' | 'PUT', key: string, options: { ttlMs: number; maxBytes?: number }): Promise<string>;
}

export interface BlobBody {
  body: ReadableStream<Uint8Array>;
  sizeBytes: number;
  contentType: string | null;
}

/** One HTTP request for a call, as the Dispatcher sends it. Redirects are never followed. */
export interface HttpCall {
  url: string;
  method: string;
  headers: Array<[string, string]>;
  body: string | Uint8Array | null;
  timeoutMs: number;
  /** The rest of a longer response is not read. */
  maxResponseBytes: number;
  /** Follows so many redirects: each time the same request, its query too, goes to the next address. None: a redirect is an answer like any other. */
  redirects?: number;
}

export type HttpResult =
  | {
      ok: true;
      status: number;
      headers: Array<[string, string]>;
      body: Uint8Array;
      truncated: boolean;
      durationMs: number;
    }
  | {
      ok: false;
      code: 'timeout' | 'connection' | 'refused-destination' | 'bad-url';
      /** The connection broke after the answer had begun. */
      answered?: true;
      message: string;
      durationMs: number;
    };

/** Configuration and keys of the environment, handed to routes and executors. Never logged. */
export interface EnvironmentContext {
  mode: 'dev' | 'production';
  /** Name of the environment; 'default' is the one that the vendors' own variables configure. */
  environment: string;
  /** Public origin of this server, no trailing slash. */
  serverUrl: string;
  /** Wall clock for signatures and headers: never the moved clock of a test. */
  wallClockMs(): number;
  /** Vendor keys and settings by the vendors' own variable names. */
  vars: Readonly<Record<string, string | undefined>>;
}

/** How one vendor's push calls are made and understood. Stateless: runs in the Dispatcher. */
export interface PushExecutor {
  /** Null: nothing to send; `skip` is the outcome. */
  request(call: LeasedCall, context: EnvironmentContext): Promise<HttpCall | { skip: Outcome }>;
  outcome(call: LeasedCall, result: HttpResult, context: EnvironmentContext): Promise<Outcome>;
}

/** What a vendor's routes get from the Worker that hosts them (Hono variable `host`). */
export interface RouteHost {
  context: EnvironmentContext;
  /** The engine of an environment; 'default' is the one that the vendors' own environment variables configure. */
  cell(environment: string): CellApi;
  /** The object for what is listened to under this name (vendor first: `<vendor>/<what>`); it springs into being. */
  channel(environment: string, name: string): ChannelApi;
  blobs(environment: string): Blobs;
  /** Keeps the Worker alive for work that goes on after the answer. */
  waitUntil(work: Promise<unknown>): void;
  /** The process is about to end: an answer that is held open ends too. Held reads of cells and channels return soon from then on. */
  isEnding(): boolean;
  callerIp: string;
}

/** Which environment a request means, by what its key, or its address, says. Nothing is proven by that: the vendor's own check follows. */
export interface EnvironmentClaim {
  environment: string;
  /** Of the key; absent where the request carries none. */
  keyVersion?: number;
  /** A part of that environment with data of its own, under the same keys. */
  branch?: string;
}

/** How one vendor's keys name an environment, and what the keys of an environment are that has none configured. */
export interface EnvironmentKeys {
  /** Null, for nearly every request: the default environment. `mode` as in EnvironmentContext. Cheap: asked of every request. */
  claim(request: Request, mode: EnvironmentContext['mode']): EnvironmentClaim | null;
  /** Values of the vendor's own variables. `derive` answers 64 hexadecimal digits for a purpose and a version of the keys. */
  variables(
    environment: string,
    keyVersion: number,
    derive: (purpose: string, keyVersion?: number) => Promise<string>,
  ): Promise<Record<string, string>>;
}

/** Hono environment of every vendor's route tree: `new Hono<RouteEnv>()`. */
export interface RouteEnv {
  Variables: { host: RouteHost };
}
