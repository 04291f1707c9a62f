import type { Command, CommandResult } from './model/command.ts';
import type { EndEffects, EndedRun, LapsedCall, LeasedCall, Outcome } from './model/call.ts';
import type { JsonText } from './model/payload.ts';
import type { Query, QueryResult } from './model/query.ts';
import type { ScheduleRecord } from './model/task.ts';

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
  changed(runs: Array<{ run: string; seq: number }>): void;
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
  /** What a tick of a schedule starts, when it starts a task of this executor. Default: `[schedule.start]`. An empty list: nothing. */
  scheduled?(tick: ScheduleTick, read: RecordReader): Array<ScheduleRecord['start']>;
}

export interface ScheduleTick {
  schedule: ScheduleRecord;
  scheduledAt: number;
  /** The times that follow, as many as anyone shows. */
  upcoming: number[];
  /** Of a pull task: whether a worker is asking for its pool's work (KernelOptions.present). */
  workerPresent: boolean;
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
  /** Leases calls of pull tasks; held open up to waitMs until one is ready. */
  lease(request: { pool: string; max: number; holdMs: number; waitMs: number; holder: string }): Promise<LeasedCall[]>;
  /** Resolves when the run's history has grown beyond `afterSeq`, or after waitMs. Returns the newest sequence, or null for an unknown run. */
  watch(request: { run: string; afterSeq: number; waitMs: number }): Promise<number | null>;
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
      message: string;
      durationMs: number;
    };

/** Configuration and keys of the environment, handed to routes and executors. Never logged. */
export interface EnvironmentContext {
  mode: 'dev' | 'production';
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
  /** Keeps the Worker alive for work that goes on after the answer. */
  waitUntil(work: Promise<unknown>): void;
  callerIp: string;
}

/** Hono environment of every vendor's route tree: `new Hono<RouteEnv>()`. */
export interface RouteEnv {
  Variables: { host: RouteHost };
}
