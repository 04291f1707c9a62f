import type { LeasedCall } from '../model/call.ts';
import type { Command, CommandResult } from '../model/command.ts';
import { assertNever } from '../model/errors.ts';
import { NEVER_MS, RECOVERY_ALARM_MS } from '../model/limits.ts';
import type { Query, QueryResult } from '../model/query.ts';
import { amend } from './amend.ts';
import { cancel } from './cancel.ts';
import { endRun } from './end.ts';
import { ingest } from './ingest.ts';
import { Kernel, type KernelOptions } from './kernel.ts';
import { lapse } from './lapse.ts';
import { leasePull, type PullRequest, pump } from './lease.ts';
import { acknowledged, destinations, incoming, type MailBatch, outgoing, post } from './mail.ts';
import { answer } from './queries.ts';
import { rerun } from './rerun.ts';
import { promote, register, unregister } from './register.ts';
import { report } from './report.ts';
import { armRetention } from './retention.ts';
import { retryDeadLetter } from './dead-letters.ts';
import { deleteSchedule, pauseSchedule, putSchedule } from './schedules.ts';
import { start } from './start.ts';
import { setSubLimit } from './sub-limits.ts';
import { startSweep, stopSweep } from './sweep.ts';
import { completeToken } from './token.ts';
import { wake } from './wake.ts';

export type Applied = { ok: true; results: CommandResult[] } | { ok: false; error: unknown };

/**
 * The engine of one cell. Every method that changes something is one transaction; what it wants done goes to `effects` after it.
 * Nothing here waits: the host holds effects until the commit is durable.
 */
export class Engine {
  readonly kernel: Kernel;
  #alarm: number | null = null;

  constructor(options: KernelOptions) {
    const kernel = new Kernel(options);
    kernel.end = (handle, ending) => endRun(kernel, handle, ending);
    this.kernel = kernel;
    // What is due is known before anything is taken, so that nothing younger overtakes it.
    this.#transact(() => {
      armRetention(this.kernel);
      this.kernel.places.recheckRestored();
      while (wake(this.kernel));
    });
  }

  /** One request's commands: all or nothing. Throws EngineError. */
  apply(commands: Command[]): CommandResult[] {
    return this.#transact(() => commands.map((command) => this.#execute(command)));
  }

  /** Several requests in one commit. One that throws fails alone: then each is done by itself. */
  applyGroup(requests: Command[][]): Applied[] {
    if (requests.length > 1) {
      try {
        return this.#transact(() =>
          requests.map((commands) => ({ ok: true, results: commands.map((command) => this.#execute(command)) })),
        );
      } catch {
        // Rolled back whole; the one at fault shows itself below.
      }
    }
    return requests.map((commands) => {
      try {
        return { ok: true, results: this.apply(commands) };
      } catch (error) {
        return { ok: false, error };
      }
    });
  }

  /** Timers. Returns true when there is more due than one transaction takes. */
  wake(): boolean {
    return this.#transact(() => wake(this.kernel));
  }

  lease(request: PullRequest): LeasedCall[] {
    return this.#transact(() => leasePull(this.kernel, request));
  }

  /** Messages from another cell: what is new is applied, in one transaction. Returns the number up to which all are taken. */
  receive(batch: MailBatch): number {
    return this.#transact(() => {
      const { commands, seq } = incoming(this.kernel, batch);
      for (const command of commands) this.#execute(command);
      return seq;
    });
  }

  outgoing(cell: string): MailBatch | null {
    return this.#transact(() => outgoing(this.kernel, cell));
  }

  acknowledged(cell: string, seq: number): void {
    this.#transact(() => acknowledged(this.kernel, cell, seq));
  }

  /** Cells that still have messages coming, after a restart. */
  destinations(): string[] {
    return destinations(this.kernel);
  }

  query<Q extends Query>(query: Q): QueryResult<Q> {
    this.kernel.tick();
    return answer(this.kernel, query);
  }

  #transact<T>(body: () => T): T {
    const { kernel } = this;
    kernel.tick();
    let calls: LeasedCall[];
    let result: T;
    try {
      [result, calls] = kernel.sql.transaction(() => {
        const value = body();
        const ready = pump(kernel);
        kernel.limits.rates.flush(kernel.now);
        return [value, ready] as const;
      });
    } catch (error) {
      kernel.rolledBack();
      throw error;
    }
    kernel.committed();
    if (calls.length > 0) kernel.effects.dispatch(calls);
    this.#armAlarm();
    return result;
  }

  #armAlarm(): void {
    const { kernel } = this;
    const recovery = kernel.leases.size > 0 ? kernel.now + RECOVERY_ALARM_MS : NEVER_MS;
    const due = Math.min(kernel.nextDue, recovery);
    // Only ever moved earlier: one that comes too soon finds nothing and arms the next, which is cheaper than two moves for every call.
    if (due >= NEVER_MS || (this.#alarm !== null && this.#alarm <= due)) return;
    this.#alarm = due;
    kernel.effects.alarm(due);
  }

  /** The alarm has fired, or was lost with the process: the next transition sets it anew. */
  forgetAlarm(): void {
    this.#alarm = null;
  }

  #execute(command: Command): CommandResult {
    const k = this.kernel;
    switch (command.type) {
      case 'ingest':
        return { type: 'ingest', ...ingest(k, command.events) };
      case 'start':
        return { type: 'start', ...start(k, command.spec) };
      case 'report':
        return report(k, command);
      case 'extend': {
        const handle = k.find(command.run);
        const held = handle && [...handle.state.pending.values()].find((pending) => pending.lease === command.lease);
        if (!handle || !held) return { type: 'extend', result: 'stale', status: handle?.state.status ?? null };
        if (command.untilMs <= k.now) lapse(k, handle, held.key, true);
        else if (!handle.state.cancelling) k.moveLease(handle, held.key, command.untilMs);
        return { type: 'extend', result: 'live', status: handle.state.status };
      }
      case 'cancel':
        return { type: 'cancel', result: cancel(k, command.run, command.reason, command.graceMs) };
      case 'amend':
        return amend(k, command);
      case 'complete-token':
        return completeToken(k, command);
      case 'register':
        return register(k, command);
      case 'unregister':
        return unregister(k, command.group);
      case 'promote':
        return promote(k, command);
      case 'release-key':
        return { type: 'release-key', run: k.names.release(`key:${command.key}`) };
      case 'put-schedule':
        return putSchedule(k, command.schedule);
      case 'pause-schedule':
        return pauseSchedule(k, command);
      case 'delete-schedule':
        return { type: 'delete-schedule', found: deleteSchedule(k, command.id) };
      case 'set-limit':
        k.places.setRule(command, command.resetRate ?? false);
        return { type: 'set-limit' };
      case 'set-sub-limit':
        setSubLimit(k, command);
        return { type: 'set-sub-limit' };
      case 'pause':
        k.places.setPause(command.scope, command.starts ?? 'wait');
        return { type: 'pause' };
      case 'unpause':
        k.places.setPause(command.scope, null);
        return { type: 'unpause' };
      case 'put-record': {
        const before = command.ifAbsent ? k.records.get(command.collection, command.id) : null;
        if (before) return { type: 'put-record', written: false, data: before.data };
        k.records.put(
          command.collection,
          command.id,
          command.data,
          command.keepMs === undefined ? (command.expiresAt ?? null) : k.now + command.keepMs,
        );
        return { type: 'put-record', written: true, data: command.data };
      }
      case 'delete-record':
        return { type: 'delete-record', found: k.records.delete(command.collection, command.id) };
      case 'rerun':
        return { type: 'rerun', ...rerun(k, command) };
      case 'sweep':
        return { type: 'sweep', ...startSweep(k, command.sweep) };
      case 'stop-sweep':
        return { type: 'stop-sweep', result: stopSweep(k, command.id, command.forget ?? false) };
      case 'retry-dead-letter':
        return { type: 'retry-dead-letter', ...retryDeadLetter(k, command.id, command.overrides) };
      case 'delete-dead-letter':
        return { type: 'delete-dead-letter', found: k.deadLetters.delete(command.id) };
      case 'post':
        if (command.cell === k.address) for (const one of command.commands) this.#execute(one);
        else post(k, command.cell, command.commands);
        return { type: 'post' };
      default:
        return assertNever(command);
    }
  }
}
