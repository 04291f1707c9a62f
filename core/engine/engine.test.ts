import { engineSuite } from '../testing/engine-suite.ts';
import { NodeSql } from '../testing/node-sql.ts';

engineSuite((body) => {
  const sql = new NodeSql();
  body(sql);
  sql.close();
});
