import type { Engine } from '../engine/engine.ts';
import type { CellApi, EnvironmentContext, RouteHost } from '../ports.ts';
import { TestBlobs, TestChannels } from './channels.ts';
import { NodeSql } from './node-sql.ts';

/** The engine of a test as routes see it. Nothing is held: a lease is answered at once, and a watch too. */
export function testCell(engine: Engine): CellApi {
  return {
    apply: async (commands) => engine.apply(commands),
    query: async (query) => engine.query(query),
    lease: async (request) => engine.lease(request),
    watch: async () => null,
  };
}

/** What routes get in a test: one cell for every environment, channels and files in memory. */
export function testHost(
  context: EnvironmentContext,
  cell: CellApi,
  { channels = new TestChannels(() => new NodeSql()), blobs = new TestBlobs() } = {},
): RouteHost {
  return {
    context,
    cell: () => cell,
    channel: channels.of,
    blobs: () => blobs,
    waitUntil: () => {},
    isEnding: () => false,
    callerIp: '127.0.0.1',
  };
}
