import type { Sql, SqlRow, SqlValue } from '../core/ports.ts';

/** The process is gone. Thrown out of every later statement of the same connection too. */
export class Crash extends Error {
  constructor(kept: boolean) {
    super(kept ? 'crashed after the commit' : 'crashed before the commit');
  }
}

/** Statements that write a run's rows, and where the run stands among their parameters, counted from the end when negative. */
const RUN_WRITES: ReadonlyArray<readonly [head: string, runAt: number]> = [
  ['INSERT INTO runs', 0],
  ['INSERT INTO history', 0],
  ['INSERT OR REPLACE INTO pending', 0],
  ['UPDATE pending', -2],
  ['DELETE FROM pending', -2],
  ['UPDATE runs', -1],
  ['DELETE FROM runs', -1],
];

/**
 * One process's connection to a database that outlives it. Dies at the statement it is told to: inside a transaction (which is lost) or
 * right after a commit (which stays). Notes whose rows were written, so that checks need not look at all runs.
 */
export class FaultSql implements Sql {
  readonly #inner: Sql;
  #crashIn = 0;
  #crashAfterCommit = false;
  #touching = new Set<string>();
  /** Runs and other owners whose rows changed in a committed transaction, since `takeTouched`. */
  #touched = new Set<string>();
  crashed: Crash | null = null;

  constructor(inner: Sql) {
    this.#inner = inner;
  }

  /** Dies when the n-th statement from now is about to run. */
  crashAtStatement(n: number): void {
    this.#crashIn = n;
  }

  crashAfterCommit(): void {
    this.#crashAfterCommit = true;
  }

  disarm(): void {
    this.#crashIn = 0;
    this.#crashAfterCommit = false;
  }

  takeTouched(): Set<string> {
    const touched = this.#touched;
    this.#touched = new Set();
    return touched;
  }

  #statement(): void {
    if (this.crashed) throw this.crashed;
    if (this.#crashIn > 0 && --this.#crashIn === 0) this.#die(false);
  }

  #die(kept: boolean): never {
    this.crashed = new Crash(kept);
    throw this.crashed;
  }

  all<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
    this.#statement();
    return this.#inner.all<Row>(query, ...params);
  }

  run(query: string, ...params: SqlValue[]): void {
    this.#statement();
    const write = RUN_WRITES.find(([head]) => query.startsWith(head));
    if (write) this.#touching.add(String(params.at(write[1])));
    this.#inner.run(query, ...params);
  }

  transaction<T>(body: () => T): T {
    if (this.crashed) throw this.crashed;
    this.#touching.clear();
    const result = this.#inner.transaction(body);
    for (const owner of this.#touching) this.#touched.add(owner);
    if (this.#crashAfterCommit) this.#die(true);
    return result;
  }

  rowsWritten(): number {
    return this.#inner.rowsWritten();
  }
}
