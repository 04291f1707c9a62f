import { env, runInDurableObject } from 'cloudflare:test';
import { engineSuite } from '../../core/testing/engine-suite.ts';
import type { Bindings } from '../bindings.ts';
import { DurableSql } from './durable-sql.ts';

// A Channel is an object with SQLite and nothing in it.
const { CHANNEL } = env as unknown as Bindings;
let n = 0;

engineSuite((body) => {
  const stub = CHANNEL.get(CHANNEL.idFromName(`engine-suite-${n++}`));
  return runInDurableObject(stub, (_instance, state) => body(new DurableSql(state.storage)));
});
