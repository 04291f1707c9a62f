import { env, runInDurableObject } from 'cloudflare:test';
import type { Sql } from '../../core/ports.ts';
import { engineSuite } from '../../core/testing/engine-suite.ts';
import { limitsSuite } from '../../core/testing/limits-suite.ts';
import { listsSuite } from '../../core/testing/lists-suite.ts';
import type { Bindings } from '../bindings.ts';
import { DurableSql } from './durable-sql.ts';

// A Channel is an object with SQLite and nothing in it.
const { CHANNEL } = env as unknown as Bindings;
let n = 0;

const open = (body: (sql: Sql) => void): Promise<void> => {
  const stub = CHANNEL.get(CHANNEL.idFromName(`engine-suite-${n++}`));
  return runInDurableObject(stub, (_instance, state) => body(new DurableSql(state.storage)));
};

engineSuite(open);
limitsSuite(open);
listsSuite(open);
