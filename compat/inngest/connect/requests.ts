import type { LeasedCall, Outcome } from '../../../core/model/call.ts';
import type { SocketHost } from '../../../core/ports.ts';
import { canonicalJson } from '../canonical.ts';
import { inngestExecutor } from '../executor.ts';
import { failure } from '../failure.ts';
import { readFunctionData } from '../function-data.ts';
import { isGatewayCall } from '../gateway.ts';
import { poolOf } from '../names.ts';
import { answerOf, finishedSteps, readRequestId, requestFrame, requestIdOf } from './calls.ts';
import type { SdkResponse } from './messages.ts';
import { chooseWorker, roomFor, type Worker } from './worker.ts';

/** A request is a worker's for so long after its last word (inngest/inngest: consts ConnectWorkerRequestLeaseDuration and what the docs say: two minutes). */
export const LEASE_MS = 120_000;
/** Workers say that they live much more often than the engine is told: each telling writes a row. */
const TELL_ENGINE_MS = 40_000;
/** A worker that has not taken a request by then does not have it. */
const ACK_MS = 10_000;
/** A worker whose connection broke off may come back with what it has in hand. */
const GRACE_MS = 10_000;
/** A look for work is held open so long. Below the cell's own bound. */
const HOLD_MS = 20_000;
/** Requests of one look. */
const MAX_AT_ONCE = 50;
const AFTER_FAILURE_MS = 1_000;

interface Request {
  call: LeasedCall;
  /** Null: its connection broke off, and nobody else has claimed it yet. */
  worker: Worker | null;
  sentAtMs: number;
  toldAtMs: number;
  /** The worker has said that it has it. */
  taken: boolean;
}

/**
 * What the workers of an environment have in hand. Each app is a pool of the engine: while its workers have room, a look for work is held open;
 * what comes is the worker's with most room. A request that is not taken, or whose worker is gone, is given back and goes to another.
 */
export class Requests {
  readonly #host: SocketHost;
  readonly #workers: () => Iterable<Worker>;
  readonly #holder: string;
  readonly #byId = new Map<string, Request>();
  /** Apps that are looked after, and how to wake those who wait for room. */
  readonly #served = new Map<string, () => void>();
  #serial = 0;
  draining = false;

  constructor(host: SocketHost, workers: () => Iterable<Worker>, holder: string) {
    this.#host = host;
    this.#workers = workers;
    this.#holder = holder;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** A worker came, left, or has room again: whoever waits for that looks anew. */
  changed(apps: Iterable<string>): void {
    for (const app of apps) {
      const wake = this.#served.get(app);
      if (wake) wake();
      else if (!this.draining && this.#hasWorkers(app)) {
        this.#served.set(app, () => {});
        this.#host.waitUntil(this.#serve(app));
      }
    }
  }

  #hasWorkers(app: string): boolean {
    for (const worker of this.#workers()) if (app in worker.note.apps) return true;
    return false;
  }

  async #serve(app: string): Promise<void> {
    while (!this.draining && this.#hasWorkers(app)) {
      const room = roomFor(this.#workers(), app);
      if (room === 0) {
        await this.#untilChanged(app);
        continue;
      }
      try {
        const calls = await this.#host.cell.lease({
          pool: poolOf(app),
          max: Math.min(room, MAX_AT_ONCE),
          holdMs: LEASE_MS,
          waitMs: HOLD_MS,
          holder: this.#holder,
        });
        for (const call of calls) this.#assign(call);
      } catch (error) {
        console.error(`inngest connect: no work could be asked for, for "${app}":`, error);
        await new Promise((resolve) => setTimeout(resolve, AFTER_FAILURE_MS));
      }
    }
    this.#served.delete(app);
  }

  #untilChanged(app: string): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#served.set(app, () => {});
        resolve();
      };
      const timer = setTimeout(done, HOLD_MS);
      this.#served.set(app, done);
    });
  }

  #assign(call: LeasedCall): void {
    if (isGatewayCall(call)) return this.#host.waitUntil(this.#makeItself(call));
    const worker = this.draining ? null : chooseWorker(this.#workers(), readFunctionData(call.task.data).app);
    if (!worker) return this.#host.waitUntil(this.#giveBack(call, false));
    const id = requestIdOf(call);
    const nowMs = Date.now();
    this.#byId.set(id, { call, worker, sentAtMs: nowMs, toldAtMs: nowMs, taken: false });
    worker.requests.add(id);
    worker.lastServed = ++this.#serial;
    worker.socket.send(requestFrame(call));
    setTimeout(() => {
      const request = this.#byId.get(id);
      if (request && !request.taken) this.#host.waitUntil(this.#lose(id, request));
    }, ACK_MS);
  }

  /** The run's own HTTP calls (`step.fetch`, `step.ai.infer`) need no worker. */
  async #makeItself(call: LeasedCall): Promise<void> {
    const renew = setInterval(() => this.#host.waitUntil(this.#extend(call)), TELL_ENGINE_MS);
    try {
      await this.#report(call, await this.#host.dispatch(call));
    } finally {
      clearInterval(renew);
    }
  }

  /** The worker has the request. */
  taken(id: string, by: Worker): void {
    const request = this.#byId.get(id);
    if (!request) return;
    request.taken = true;
    this.#claim(id, request, by);
  }

  /** After a reconnection a worker goes on with what it had. */
  #claim(id: string, request: Request, by: Worker): void {
    if (request.worker === by) return;
    request.worker?.requests.delete(id);
    request.worker = by;
    by.requests.add(id);
  }

  /** The worker lives and works on it. False: the lease is lost, and whatever comes of it counts no more than its finished steps. */
  async extended(id: string, by: Worker): Promise<boolean> {
    const request = this.#byId.get(id);
    if (request) {
      request.taken = true;
      this.#claim(id, request, by);
      if (Date.now() - request.toldAtMs < TELL_ENGINE_MS) return true;
      request.toldAtMs = Date.now();
      const isLive = await this.#extend(request.call);
      if (!isLive) this.#forget(id);
      return isLive;
    }
    // From before this gateway: the lease may still be there.
    const ref = readRequestId(id);
    const call = ref && (await this.#host.cell.query({ type: 'leased-call', ...ref }));
    if (!call || !(await this.#extend(call))) return false;
    const nowMs = Date.now();
    this.#byId.set(id, { call, worker: by, sentAtMs: nowMs, toldAtMs: nowMs, taken: true });
    by.requests.add(id);
    return true;
  }

  async #extend(call: LeasedCall): Promise<boolean> {
    const { nowMs } = await this.#host.cell.query({ type: 'clock' });
    const [result] = await this.#host.cell.apply([
      { type: 'extend', run: call.run, lease: call.lease, untilMs: nowMs + LEASE_MS },
    ]);
    return result?.type === 'extend' && result.result === 'live';
  }

  /** A worker's answer. Resolves when it is kept: it may be acknowledged then. Throws when the cell cannot be reached. */
  async replied(response: SdkResponse): Promise<void> {
    const id = response.requestId ?? '';
    const request = this.#byId.get(id);
    const ref = readRequestId(id);
    if (!ref) return;
    const call = request?.call ?? (await this.#host.cell.query({ type: 'leased-call', ...ref }));
    if (!call) {
      const ops = finishedSteps(response);
      if (ops.length > 0) await this.#host.cell.apply([{ type: 'report', ...ref, outcome: { ops }, final: false }]);
      return;
    }
    const durationMs = request ? Date.now() - request.sentAtMs : 0;
    const outcome = await inngestExecutor.outcome(call, answerOf(response, durationMs), this.#host.context);
    await this.#report(call, outcome);
    this.#forget(id);
  }

  async #report(call: LeasedCall, outcome: Outcome): Promise<void> {
    const { run, lease } = call;
    try {
      await this.#host.cell.apply([{ type: 'report', run, lease, outcome, final: true }]);
    } catch (error) {
      if (isUnreachable(error)) throw error;
      // An outcome that the engine refuses is a fault of the translation: the run must not hang on it.
      console.error('inngest connect: outcome refused:', error);
      const message = `The answer could not be applied: ${error instanceof Error ? error.message : String(error)}`;
      const refused = failure(canonicalJson({ message, name: 'Error' }), { noRetry: false, retryAt: null });
      await this.#host.cell.apply([{ type: 'report', run, lease, outcome: refused, final: true }]);
    }
  }

  #forget(id: string): void {
    const request = this.#byId.get(id);
    if (!request) return;
    this.#byId.delete(id);
    request.worker?.requests.delete(id);
    if (request.worker) this.changed(Object.keys(request.worker.note.apps));
  }

  /** A connection has ended. `clean`: the worker said goodbye, and will not be back with these. */
  left(worker: Worker, clean: boolean): void {
    for (const id of worker.requests) {
      const request = this.#byId.get(id);
      if (!request) continue;
      request.worker = null;
      if (clean) this.#host.waitUntil(this.#lose(id, request));
      else
        setTimeout(() => {
          if (request.worker === null && this.#byId.get(id) === request) this.#host.waitUntil(this.#lose(id, request));
        }, GRACE_MS);
    }
    worker.requests.clear();
  }

  async #lose(id: string, request: Request): Promise<void> {
    this.#forget(id);
    await this.#giveBack(request.call, request.taken);
  }

  /**
   * The call goes to another worker. One that was in a worker's hands counts as lost with it: a request that takes every worker down must not
   * go round for ever (see `lapsed` in ../translator.ts).
   */
  async #giveBack(call: LeasedCall, wasTaken: boolean): Promise<void> {
    const untilMs = wasTaken ? (await this.#host.cell.query({ type: 'clock' })).nowMs + 1 : 0;
    await this.#host.cell.apply([{ type: 'extend', run: call.run, lease: call.lease, untilMs }]);
  }
}

/** As the platform says it; error classes do not survive RPC. */
function isUnreachable(error: unknown): boolean {
  const { overloaded, retryable } = (typeof error === 'object' ? error : null) as {
    overloaded?: unknown;
    retryable?: unknown;
  };
  return overloaded === true || retryable === true;
}
