import { engineSuite } from '../testing/engine-suite.ts';
import { limitsSuite } from '../testing/limits-suite.ts';
import { listsSuite } from '../testing/lists-suite.ts';
import { NodeSql } from '../testing/node-sql.ts';
import type { Sql } from '../ports.ts';

const open = (body: (sql: Sql) => void): void => {
  const sql = new NodeSql();
  body(sql);
  sql.close();
};

engineSuite(open);
limitsSuite(open);
listsSuite(open);
