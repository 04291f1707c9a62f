import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Sql, SqlRow, SqlValue } from '../ports.ts';

/** The Sql port over `node:sqlite`: the same statements as in a Durable Object. */
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
    if (!statement) this.#statements.set(query, (statement = this.database.prepare(query)));
    return statement;
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
