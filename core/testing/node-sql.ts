import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Sql, SqlRow, SqlValue } from '../ports.ts';
import { isAskedByTest, planFault } from './plans.ts';

/** What has been said of a statement's plan: they are the same in every database of a process. */
const plans = new Map<string, string | null>();

/**
 * The Sql port over `node:sqlite`: the same statements as in a Durable Object. A statement of ours that may come to read
 * as many rows as there are fails where it is asked for the first time (plans.ts).
 */
export class NodeSql implements Sql {
  readonly database: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  #written = 0;

  constructor(path = ':memory:') {
    this.database = new DatabaseSync(path);
    this.database.exec(`PRAGMA journal_mode = ${path === ':memory:' ? 'MEMORY' : 'WAL'}`);
  }

  #prepare(query: string): StatementSync {
    let statement = this.#statements.get(query);
    if (!statement) {
      this.#statements.set(query, (statement = this.database.prepare(query)));
      this.#checkPlan(query);
    }
    return statement;
  }

  #checkPlan(query: string): void {
    let fault = plans.get(query);
    if (fault === undefined) plans.set(query, (fault = planFault(this.database, query)));
    if (fault && !isAskedByTest(new Error().stack ?? '')) throw new Error(`no index bounds this statement: ${fault}`);
  }

  all<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
    return this.#prepare(query).all(...params) as Row[];
  }

  run(query: string, ...params: SqlValue[]): void {
    this.#written += Number(this.#prepare(query).run(...params).changes);
  }

  transaction<T>(body: () => T): T {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.database.exec('COMMIT');
      return result;
    } catch (error) {
      this.database.exec('ROLLBACK');
      throw error;
    }
  }

  rowsWritten(): number {
    return this.#written;
  }

  close(): void {
    this.database.close();
  }
}
