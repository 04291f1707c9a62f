import { Engine } from '../engine/engine.ts';
import type { LeasedCall, Outcome } from '../model/call.ts';
import type { Command, CommandResult, ResultOf } from '../model/command.ts';
import type { TaskSpec } from '../model/task.ts';
import type { Effects, Sql, Translator } from '../ports.ts';

/** mulberry32: a small seeded generator, for tests. */
export function seeded(seed: number): { next(): number } {
  let a = seed >>> 0;
  return {
    next() {
      a = (a + 0x6d2b79f5) >>> 0;
      let t = Math.imul(a ^ (a >>> 15), a | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    },
  };
}

/** An engine over a database in memory, a clock that stands still, and the effects it asked for. */
export class TestEngine implements Effects {
  readonly sql: Sql;
  nowMs = Date.UTC(2026, 0, 1);
  calls: LeasedCall[] = [];
  alarmAt: number | null = null;
  mailFor: string[] = [];
  readonly address: string;
  readyPools: string[] = [];
  engine: Engine;
  readonly #translators: Record<string, Translator>;
  #seed: number;

  constructor(options: { sql: Sql; translators?: Record<string, Translator>; seed?: number; address?: string }) {
    this.sql = options.sql;
    this.#translators = options.translators ?? {};
    this.#seed = options.seed ?? 1;
    this.address = options.address ?? 'test/0';
    this.engine = this.#open();
  }

  #open(): Engine {
    return new Engine({
      sql: this.sql,
      clock: { now: () => this.nowMs },
      random: seeded(this.#seed++),
      effects: this,
      translators: this.#translators,
      cell: 0,
      address: this.address,
    });
  }

  /** The process is lost and started again on the same data. */
  restart(): void {
    this.calls = [];
    this.engine = this.#open();
    this.wake();
  }

  dispatch(calls: LeasedCall[]): void {
    this.calls.push(...calls);
  }
  ready(pools: string[]): void {
    this.readyPools.push(...pools);
  }
  changed(): void {}
  mail(cells: string[]): void {
    this.mailFor.push(...cells);
  }
  alarm(atMs: number): void {
    this.alarmAt = atMs;
  }

  wake(): void {
    while (this.engine.wake());
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.wake();
  }

  /** The calls dispatched since the last time. */
  take(): LeasedCall[] {
    const calls = this.calls;
    this.calls = [];
    return calls;
  }

  one(): LeasedCall {
    const calls = this.take();
    if (calls.length !== 1)
      throw new Error(`expected one call, got ${calls.length}: ${calls.map((call) => call.key).join(', ')}`);
    return calls[0] as LeasedCall;
  }

  apply<T extends Command['type']>(command: Extract<Command, { type: T }>): ResultOf<T> {
    return this.engine.apply([command])[0] as CommandResult as ResultOf<T>;
  }

  register(...tasks: Array<Partial<TaskSpec> & { id: string }>): void {
    this.apply({ type: 'register', group: 'test', tasks: tasks.map(taskSpec), replace: true });
  }

  start(task: string, spec: object = {}): string {
    return this.apply({ type: 'start', spec: { task, input: null, ...spec } }).run;
  }

  report(call: LeasedCall, ...ops: Outcome['ops']): ResultOf<'report'> {
    return this.apply({ type: 'report', run: call.run, lease: call.lease, outcome: { ops }, final: true });
  }

  progress(call: LeasedCall, ...ops: Outcome['ops']): ResultOf<'report'> {
    return this.apply({ type: 'report', run: call.run, lease: call.lease, outcome: { ops }, final: false });
  }

  status(run: string): string | null {
    return this.engine.query({ type: 'run', run })?.status ?? null;
  }
}

export function taskSpec(task: Partial<TaskSpec> & { id: string }): TaskSpec {
  return {
    group: 'test',
    name: task.id,
    executor: 'test',
    mode: 'push',
    triggers: [],
    maxAttempts: 4,
    retry: { kind: 'constant', delayMs: 1000 },
    limits: [],
    data: '{}',
    ...task,
  };
}
