import { DurableObject } from 'cloudflare:workers';
import { Engine, type MailBatch } from '../../core/index.ts';
import type { LeasedCall } from '../../core/model/call.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';
import { DEFAULT_ENVIRONMENT } from '../../core/model/placement.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import { feedOf } from '../../core/model/channel.ts';
import type { CellApi, Effects, WatchRequest } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { Followers } from '../channel/followers.ts';
import type { Followed } from '../channel/feeds.ts';
import { isLarge, MESSAGE_BYTES, pack, type Packed, unpack } from '../large/packed.ts';
import { TRANSLATORS } from '../vendors.ts';
import { Committer } from './committer.ts';
import { Dispatches } from './dispatches.ts';
import { DurableSql } from './durable-sql.ts';
import { Courier } from './courier.ts';
import { HeldLeases, type LeaseRequest } from './held-leases.ts';
import { MovableClock } from './movable-clock.ts';
import { Rest } from './rest.ts';
import { TimeControl } from './time-control.ts';
import { Watchers } from './watchers.ts';

/** A hold longer than this is cut: the caller asks again. Below the platform's limits for an idle request. */
const MAX_HOLD_MS = 60_000;
/** After an alarm that failed. */
const ALARM_RETRY_MS = 1_000;

/** One cell of an environment: the engine over this object's SQLite. See docs/design/design.md, "Objects". */
export class Cell extends DurableObject<Bindings> implements Omit<CellApi, 'lease'> {
  #engine: Engine;
  #clock: MovableClock;
  #committer: Committer;
  #watchers = new Watchers(Date.now());
  /** Of this start: what an earlier one would have told nobody was told. */
  readonly #instance = crypto.randomUUID();
  #followers: Followers;
  #held: HeldLeases;
  #time: TimeControl;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#clock = new MovableClock(ctx.storage.sql);
    const rest = new Rest();
    this.#committer = new Committer(
      (requests) => this.#engine.applyGroup(requests),
      () => {
        rest.committed();
        return ctx.storage.sync();
      },
    );
    this.#followers = new Followers(env.CHANNEL);
    this.#held = new HeldLeases((request) => this.#engine.lease(request));
    const dispatches = new Dispatches(env, environmentOf(ctx.id.name), (command, patient) =>
      this.#committer.submit([command], patient),
    );
    const courier = new Courier(env.CELL, () => this.#engine);
    const readyPools = new Set<string>();
    const toCall: LeasedCall[] = [];
    const effects: Effects = {
      // What was asked is answered first. Nothing is lost by it: the runtime would hold a call back until its commit is on disk.
      dispatch: (calls) => {
        if (toCall.length === 0) {
          const send = (): void => dispatches.send(toCall.splice(0));
          ctx.storage.sync().then(send, send);
        }
        toCall.push(...calls);
      },
      changed: (runs) => {
        for (const { run, seq, labels } of runs) this.#watchers.changed(run, seq, labels);
        this.#followers.changed(runs);
      },
      mail: (cells) => courier.carry(cells),
      // A lease is a transaction of its own: after the one that is under way.
      ready: (pools) => {
        if (readyPools.size === 0)
          queueMicrotask(() => {
            const all = [...readyPools];
            readyPools.clear();
            this.#held.ready(all);
          });
        for (const pool of pools) readyPools.add(pool);
      },
      alarm: (atMs) => void ctx.storage.setAlarm(Math.max(Date.now(), this.#clock.wallTimeOf(atMs))),
    };
    this.#engine = new Engine({
      sql: new DurableSql(ctx.storage),
      clock: this.#clock,
      random: { next: () => Math.random() },
      effects,
      translators: TRANSLATORS,
      present: (pool) => this.#held.present(pool),
      cell: cellNumberOf(ctx.id.name),
      address: ctx.id.name ?? 'default/0',
      ...positive('maxInFlight', env.REPOINT_MAX_IN_FLIGHT),
      ...positive('retentionMs', Number(env.REPOINT_RETENTION_DAYS) * 86_400_000),
    });
    courier.carry(this.#engine.destinations());
    this.#time = new TimeControl(this.#engine, this.#clock, () => this.#committer.busy);
  }

  apply(commands: Command[]): Promise<CommandResult[]> {
    return this.#committer.submit(commands);
  }

  async query<Q extends Query>(query: Q): Promise<QueryResult<Q>> {
    return this.#engine.query(query);
  }

  /** As apply and query, for what is longer than a message may be (src/large/packed.ts). */
  async applyPacked(commands: Packed): Promise<CommandResult[]> {
    return this.apply(await unpack<Command[]>(commands));
  }

  async queryPacked(query: Query): Promise<Packed> {
    return pack(this.#engine.query(query));
  }

  /** What is too long for a message comes packed: it is leased by then. */
  async lease(request: LeaseRequest): Promise<LeasedCall[] | Packed> {
    const calls = await this.#held.take({ ...request, waitMs: Math.min(request.waitMs, MAX_HOLD_MS) });
    return isLarge(calls, MESSAGE_BYTES) ? pack(calls) : calls;
  }

  async watch(request: WatchRequest): Promise<number | null> {
    const waitMs = Math.min(request.waitMs, MAX_HOLD_MS);
    if ('label' in request) return this.#watchers.waitLabel(request.label, request.afterSeq, waitMs);
    const run = this.#engine.query({ type: 'run', run: request.run });
    if (!run) return null;
    if (run.seq > request.afterSeq) return run.seq;
    return (await this.#watchers.wait(run.id, request.afterSeq, waitMs)) ?? run.seq;
  }

  /** A channel has listeners for these topics: it is told of each change from now on (Channel.told). */
  async follow(topics: string[], channel: string): Promise<Followed> {
    const changes = topics.map((topic) => {
      const feed = feedOf(topic);
      if (feed && 'label' in feed) {
        this.#followers.add(topic, channel);
        return null;
      }
      const record = feed && this.#engine.query({ type: 'run', run: feed.run });
      if (!record) return null;
      this.#followers.add(topic, channel);
      return { run: record.id, seq: record.seq, status: record.status };
    });
    return { instance: this.#instance, changes };
  }

  /** Another cell's messages. Returns the number up to which all are taken. */
  async receive(batch: MailBatch): Promise<number> {
    return this.#engine.receive(batch);
  }

  /** Starts the object after a restart: what was under way goes on. */
  async boot(): Promise<void> {}

  /** Before the process ends: no new calls, held requests are answered, what is under way may report until timeoutMs are over. */
  async drain(timeoutMs: number): Promise<{ idle: boolean }> {
    this.#engine.kernel.draining = true;
    this.#held.release();
    const deadline = Date.now() + timeoutMs;
    const busy = (): boolean => this.#engine.kernel.leases.size > 0 || this.#committer.busy;
    while (busy() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    // Those who watch have heard of what ended meanwhile.
    this.#watchers.release();
    return { idle: !busy() };
  }

  /** Never throws, always arms the next: an alarm that is lost is a run that never ends. */
  override async alarm(): Promise<void> {
    try {
      this.#engine.forgetAlarm();
      while (this.#engine.wake());
    } catch (error) {
      console.error('timers failed, again in a second:', error);
      await this.ctx.storage.setAlarm(Date.now() + ALARM_RETRY_MS);
    }
  }

  // Time control: the routes refuse it outside dev mode.

  async clockNow(): Promise<number> {
    return this.#clock.now();
  }

  async clockAdvance(toMs: number, timeoutMs: number): Promise<{ nowMs: number; idle: boolean }> {
    return this.#time.advance(toMs, timeoutMs);
  }

  async idle(timeoutMs: number): Promise<{ idle: boolean; inFlight: number; ready: number; nextDueAt: number | null }> {
    return this.#time.idle(timeoutMs);
  }
}

/** Objects are named `<environment>/<n>`. */
function cellNumberOf(name: string | undefined): number {
  const n = Number(name?.slice(name.lastIndexOf('/') + 1));
  return Number.isInteger(n) ? n : 0;
}

function environmentOf(name: string | undefined): string {
  return name?.slice(0, name.lastIndexOf('/')) ?? DEFAULT_ENVIRONMENT;
}

/** A setting that is not a positive number is not set. */
function positive<Name extends string>(name: Name, value: unknown): { [N in Name]?: number } {
  const n = Number(value);
  return (n > 0 && Number.isFinite(n) ? { [name]: n } : {}) as { [N in Name]?: number };
}
